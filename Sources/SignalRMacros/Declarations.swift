// SignalBox: reading declarations as they are written: modifiers, attributes, isolation
// SPDX-License-Identifier: Apache-2.0

import SwiftSyntax
import SwiftSyntaxMacros

extension DeclModifierListSyntax {
    func first(_ keyword: Keyword) -> DeclModifierSyntax? {
        self.first { $0.name.tokenKind == .keyword(keyword) && $0.detail?.detail.text != "set" }
    }

    func contains(_ keyword: Keyword) -> Bool { self.first(keyword) != nil }

    /// What members need in front to be as visible as their type; nothing for an internal or private one.
    var memberAccess: String {
        if self.contains(.public) || self.contains(.open) { return "public " }
        return self.contains(.package) ? "package " : ""
    }
}

extension AttributeListSyntax {
    func named(_ name: String) -> [AttributeSyntax] {
        self.compactMap { $0.as(AttributeSyntax.self) }.filter { $0.attributeName.name == name }
    }

    /// Whether a global actor isolates the declaration. Syntax shows only names, so this goes by the convention that
    /// they end in `Actor`.
    var hasGlobalActor: Bool {
        self.contains { $0.as(AttributeSyntax.self)?.attributeName.name?.hasSuffix("Actor") == true }
    }
}

extension FunctionDeclSyntax {
    /// The name without backticks.
    var baseName: String { self.name.identifier?.name ?? self.name.text }

    /// Why clients cannot call the function, if its modifiers say so.
    var notCallable: String? {
        let reason = self.modifiers.first {
            [.private, .fileprivate, .static, .class].contains($0.name.tokenKind.keyword)
        }
        return reason.map { "\($0.name.text) function" }
    }

    var isThrowing: Bool {
        guard let clause = self.signature.effectSpecifiers?.throwsClause else { return false }
        return clause.type?.core.name != "Never"
    }

    var isAsync: Bool { self.signature.effectSpecifiers?.asyncSpecifier != nil }

    var parameters: FunctionParameterListSyntax { self.signature.parameterClause.parameters }
}

extension FunctionParameterSyntax {
    /// The label as a call writes it: without the backticks that only the declaration needs.
    var label: String? {
        if self.firstName.tokenKind == .wildcard { return nil }
        guard let name = self.firstName.identifier?.name, name != "inout",
            name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
        else { return self.firstName.text }
        return name
    }
}

extension DeclGroupSyntax {
    /// Whether calls of the type's methods cross an isolation boundary, unless a method says otherwise.
    var isIsolated: Bool {
        !self.modifiers.contains(.nonisolated) && (self.is(ActorDeclSyntax.self) || self.attributes.hasGlobalActor)
    }
}

extension TokenKind {
    fileprivate var keyword: Keyword? {
        if case .keyword(let keyword) = self { keyword } else { nil }
    }
}
