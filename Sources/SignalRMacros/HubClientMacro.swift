// SignalBox: @HubClient: a struct that calls clients by the methods of a protocol
// SPDX-License-Identifier: Apache-2.0

import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

enum HubClientMacro: PeerMacro {
    static func expansion(
        of node: AttributeSyntax,
        providingPeersOf declaration: some DeclSyntaxProtocol,
        in context: some MacroExpansionContext
    ) -> [DeclSyntax] {
        guard let client = declaration.as(ProtocolDeclSyntax.self) else {
            context.refuse(node, .clientType)
            return []
        }
        let methods = client.memberBlock.members.compactMap { ClientMethod($0.decl, in: context) }
        // A proxy that lacks methods would only add errors.
        guard methods.count == client.memberBlock.members.count else { return [] }
        return [proxy(of: client, methods)]
    }

    private static func proxy(of client: ProtocolDeclSyntax, _ methods: [ClientMethod]) -> DeclSyntax {
        let access = client.modifiers.memberAccess
        let visibility = client.modifiers.first {
            [.keyword(.private), .keyword(.fileprivate)].contains($0.name.tokenKind)
        }
        let structAccess = visibility.map { "\($0.trimmed) " } ?? access
        let members = methods.map { "\n\n" + $0.implementation(access) }.joined()
        return """
            \(raw: structAccess)struct \(raw: client.baseName)Proxy: \(client.name.trimmed), SignalR.HubClientProxy {
                private let target: SignalR.ClientTarget

                \(raw: access)init(_ target: SignalR.ClientTarget) {
                    self.target = target
                }\(raw: members)
            }
            """
    }
}

extension ProtocolDeclSyntax {
    /// The name without backticks.
    fileprivate var baseName: String { self.name.identifier?.name ?? self.name.text }
}

/// One requirement of a client protocol.
private struct ClientMethod {
    let declaration: FunctionDeclSyntax

    /// - Returns: nil after telling `context` why the proxy cannot implement the requirement.
    init?(_ requirement: DeclSyntax, in context: some MacroExpansionContext) {
        guard let function = requirement.as(FunctionDeclSyntax.self), !function.modifiers.contains(.static) else {
            context.refuse(requirement, .clientMember)
            return nil
        }
        guard Self.hasEffects(function, in: context), Self.isTransferable(function, in: context) else { return nil }
        self.declaration = function
    }

    private static func hasEffects(_ function: FunctionDeclSyntax, in context: some MacroExpansionContext) -> Bool {
        let throwsClause = function.signature.effectSpecifiers?.throwsClause
        if function.isAsync, let throwsClause, throwsClause.type == nil { return true }
        var remedied = function.signature
        remedied.parameterClause.trailingTrivia = .space
        remedied.effectSpecifiers = FunctionEffectSpecifiersSyntax(
            asyncSpecifier: .keyword(.async, trailingTrivia: .space),
            throwsClause: ThrowsClauseSyntax(throwsSpecifier: .keyword(.throws)),
            trailingTrivia: remedied.returnClause == nil ? [] : .space
        )
        let remedy = Remedy("Make it 'async throws'", replace: function.signature, with: remedied)
        context.refuse(function.name, .clientEffects, remedy: remedy)
        return false
    }

    private static func isTransferable(_ function: FunctionDeclSyntax, in context: some MacroExpansionContext) -> Bool {
        let result = function.signature.returnClause?.type.core
        let types = function.parameters.map(\.type.core) + [result].compactMap { $0 }.filter { !$0.isVoid }
        let refused = types.filter { type in
            let content = type.wrapped ?? type
            let isStream = content.isNamedStream || SequenceConstraint(content) != nil
            guard let reason = isStream ? .clientStream : content.untransferable else { return false }
            context.refuse(type, reason)
            return true
        }
        return refused.isEmpty
    }

    func implementation(_ access: String) -> String {
        var function = self.declaration.trimmed
        function.attributes = function.attributes.filter { !Self.isMark($0) }
        function.modifiers = []
        function.signature.parameterClause.parameters = self.namedParameters
        let indentation = "    "
        return """
            \(indentation)\(access)\(function.trimmedDescription) {
            \(indentation)    try await self.target.\(self.call)
            \(indentation)}
            """
    }

    private static func isMark(_ element: AttributeListSyntax.Element) -> Bool {
        element.as(AttributeSyntax.self)?.attributeName.name == "HubMethod"
    }

    /// A parameter that the protocol leaves without a name gets one.
    private var namedParameters: FunctionParameterListSyntax {
        FunctionParameterListSyntax(
            self.declaration.parameters.enumerated().map { index, parameter in
                guard (parameter.secondName ?? parameter.firstName).tokenKind == .wildcard else { return parameter }
                return parameter.with(\.firstName.trailingTrivia, .space).with(\.secondName, .identifier("p\(index)"))
            }
        )
    }

    private var call: String {
        let name = HubMethodMark(of: self.declaration).wireName(of: self.declaration)
        var arguments = [StringLiteralExprSyntax(content: name).description]
        arguments += self.namedParameters.map { ($0.secondName ?? $0.firstName).text }
        guard let result = self.declaration.signature.returnClause?.type.core, !result.isVoid else {
            return "send(\(arguments.joined(separator: ", ")))"
        }
        return "invoke(\(arguments.joined(separator: ", ")), returning: \(result.trimmed).self)"
    }
}
