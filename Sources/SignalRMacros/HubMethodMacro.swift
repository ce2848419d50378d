// SignalBox: @HubMethod: a mark that @Hub and @HubClient read; alone it only checks where it stands
// SPDX-License-Identifier: Apache-2.0

import SwiftParser
import SwiftSyntax
import SwiftSyntaxMacros

enum HubMethodMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax,
        providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) -> [DeclSyntax] {
        checkArguments(of: node, in: context)
        checkPlace(of: node, on: declaration, in: context)
        return []
    }

    private static func checkArguments(of node: AttributeSyntax, in context: some MacroExpansionContext) {
        let mark = HubMethodMark([node])
        if let name = mark.nameArgument, mark.name?.isEmpty != false { context.refuse(name, .methodName) }
        if let streaming = mark.streamingArgument, !streaming.is(BooleanLiteralExprSyntax.self) {
            context.refuse(streaming, .methodStreaming)
        }
    }

    private static func checkPlace(
        of node: AttributeSyntax, on declaration: some DeclSyntaxProtocol, in context: some MacroExpansionContext
    ) {
        let place = context.lexicalContext.first
        if place?.is(ExtensionDeclSyntax.self) == true { return context.refuse(node, .methodExtension) }
        guard let function = declaration.as(FunctionDeclSyntax.self),
            let type = place?.asProtocol((any DeclGroupSyntax).self),
            !type.attributes.named(type.is(ProtocolDeclSyntax.self) ? "HubClient" : "Hub").isEmpty
        else { return context.refuse(node, .methodTarget) }
        if type.is(ProtocolDeclSyntax.self) {
            let mark = HubMethodMark([node])
            if let extra = mark.policies.first ?? mark.streamingArgument { context.refuse(extra, .clientAttribute) }
        } else if let reason = function.notCallable ?? (LifetimeHook(function) != nil ? "lifetime hook" : nil) {
            context.refuse(node, .methodNotCallable(reason))
        }
    }
}

/// What `@HubMethod("name", policy: "policy", streaming: true)` says about a function.
struct HubMethodMark {
    private(set) var nameArgument: ExprSyntax?
    private(set) var streamingArgument: ExprSyntax?
    /// Expressions, copied into the method table as they are.
    private(set) var policies: [ExprSyntax] = []

    /// The new name; nil when none is given or when it is not a literal.
    var name: String? { self.nameArgument?.as(StringLiteralExprSyntax.self)?.representedLiteralValue }
    var isStreaming: Bool {
        self.streamingArgument?.as(BooleanLiteralExprSyntax.self)?.literal.tokenKind == .keyword(.true)
    }

    init(_ attributes: [AttributeSyntax]) {
        for case .argumentList(let arguments)? in attributes.map(\.arguments) {
            for argument in arguments where !argument.expression.is(NilLiteralExprSyntax.self) {
                switch argument.label?.text {
                case nil: self.nameArgument = argument.expression
                case "policy": self.policies.append(argument.expression)
                default: self.streamingArgument = argument.expression
                }
            }
        }
    }

    init(of function: FunctionDeclSyntax) { self.init(function.attributes.named("HubMethod")) }

    /// The name that travels.
    func wireName(of function: FunctionDeclSyntax) -> String { self.name ?? function.baseName }
}
