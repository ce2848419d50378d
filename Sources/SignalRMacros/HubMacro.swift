// SignalBox: @Hub: the method table of a hub and its conformance
// SPDX-License-Identifier: Apache-2.0

import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

enum HubMacro {}

extension HubMacro: MemberMacro {
    static func expansion(
        of node: AttributeSyntax,
        providingMembersOf declaration: some DeclGroupSyntax,
        conformingTo protocols: [TypeSyntax],
        in context: some MacroExpansionContext
    ) -> [DeclSyntax] {
        if let structure = declaration.as(StructDeclSyntax.self) { return [table(of: structure, in: context)] }
        if let actor = declaration.as(ActorDeclSyntax.self) { return [table(of: actor, in: context)] }
        guard let type = declaration.as(ClassDeclSyntax.self) else {
            context.refuse(node, .hubType)
            return []
        }
        guard type.modifiers.contains(.final) else {
            let (old, new) =
                type.modifiers.first(.open).map { ($0.name, "public final") } ?? (type.classKeyword, "final class")
            let remedy = Remedy("Write '\(new)'", replace: old, with: TokenSyntax.identifier(new))
            context.refuse(type.classKeyword, .hubClass, remedy: remedy)
            return []
        }
        return [table(of: type, in: context)]
    }
}

extension HubMacro: ExtensionMacro {
    static func expansion(
        of node: AttributeSyntax,
        attachedTo declaration: some DeclGroupSyntax,
        providingExtensionsOf type: some TypeSyntaxProtocol,
        conformingTo protocols: [TypeSyntax],
        in context: some MacroExpansionContext
    ) throws -> [ExtensionDeclSyntax] {
        // Without a table, for which the other half of the macro gives the reason, a conformance would only add errors.
        let isFinal = declaration.as(ClassDeclSyntax.self)?.modifiers.contains(.final)
        let hasTable = isFinal ?? (declaration.is(StructDeclSyntax.self) || declaration.is(ActorDeclSyntax.self))
        guard hasTable, !protocols.isEmpty else { return [] }
        return [try ExtensionDeclSyntax("extension \(type.trimmed): SignalR.Hub {}")]
    }
}

// MARK: The method table

extension HubMacro {
    private typealias HubType = DeclGroupSyntax & NamedDeclSyntax & WithGenericParametersSyntax

    /// The table is nonisolated, for the dispatcher reads it before there is a hub to be isolated to.
    private static func table(of hub: some HubType, in context: some MacroExpansionContext) -> DeclSyntax {
        let entries = functions(of: hub, in: context).map { $0.definition + ",\n" }.joined().indented
        let list = entries.isEmpty ? "[]" : "[\n\(entries)]"
        let type = "[SignalR.HubMethodDefinition<\(hub.name.trimmed)>]"
        let access = hub.modifiers.memberAccess
        if isInGenericContext(hub, context) {
            return "\(raw: access)nonisolated static var methods: \(raw: type) {\n\(raw: list.indented)\n}"
        }
        return "\(raw: access)nonisolated static let methods: \(raw: type) = \(raw: list)"
    }

    /// Whether stored statics are impossible. An extension does not show whether it extends a generic type.
    private static func isInGenericContext(_ hub: some HubType, _ context: some MacroExpansionContext) -> Bool {
        hub.genericParameterClause != nil
            || context.lexicalContext.contains { scope in
                scope.is(ExtensionDeclSyntax.self)
                    || scope.asProtocol((any WithGenericParametersSyntax).self)?.genericParameterClause != nil
            }
    }

    private static func functions(of hub: some HubType, in context: some MacroExpansionContext) -> [HubFunction] {
        var firsts: [String: FunctionDeclSyntax] = [:]
        return candidates(in: hub.memberBlock.members, in: context).compactMap { candidate in
            guard let function = HubFunction(candidate, of: hub, in: context) else { return nil }
            if let first = firsts.updateValue(candidate, forKey: function.name.lowercased()) {
                let note = ("'\(first.baseName)' is defined here", Syntax(first.name))
                context.refuse(candidate.name, .duplicate(function.name), note: note)
                return nil
            }
            return function
        }
    }

    /// The functions that clients may call, hooks left out.
    private static func candidates(
        in members: MemberBlockItemListSyntax, in context: some MacroExpansionContext
    ) -> [FunctionDeclSyntax] {
        members.flatMap { member -> [FunctionDeclSyntax] in
            if let conditional = member.decl.as(IfConfigDeclSyntax.self) {
                refuseFunctions(of: conditional, in: context)
                return []
            }
            guard let function = member.decl.as(FunctionDeclSyntax.self), function.notCallable == nil else { return [] }
            guard let hook = LifetimeHook(function) else { return [function] }
            if !hook.isDeclared(by: function) { context.refuse(function.signature, .hook(hook.declaration)) }
            return []
        }
    }

    /// A list literal cannot hold conditional elements.
    private static func refuseFunctions(of conditional: IfConfigDeclSyntax, in context: some MacroExpansionContext) {
        for case .decls(let members)? in conditional.clauses.map(\.elements) {
            for function in candidates(in: members, in: context) { context.refuse(function.name, .conditional) }
        }
    }
}

/// The requirements of `Hub` that are no callable methods.
enum LifetimeHook: String {
    case onConnected
    case onDisconnected

    /// By name alone, so that a slip in the signature does not turn a hook into a callable method.
    init?(_ function: FunctionDeclSyntax) { self.init(rawValue: function.baseName) }

    var declaration: String {
        switch self {
        case .onConnected: "onConnected(_ context: HubCallerContext)"
        case .onDisconnected: "onDisconnected(_ context: HubCallerContext, reason: (any Error)?)"
        }
    }

    func isDeclared(by function: FunctionDeclSyntax) -> Bool {
        function.parameters.map(\.firstName.text) == (self == .onConnected ? ["_"] : ["_", "reason"])
    }
}

extension String {
    /// Every line four columns further to the right.
    fileprivate var indented: String {
        self.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : "    \($0)" }
            .joined(separator: "\n")
    }
}
