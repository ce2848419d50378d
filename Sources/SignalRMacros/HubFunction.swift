// SignalBox: one callable function of a hub: how its arguments bind and what it answers
// SPDX-License-Identifier: Apache-2.0

import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

struct HubFunction {
    enum Answer { case nothing, value, stream }

    let declaration: FunctionDeclSyntax
    let name: String
    let policies: [ExprSyntax]
    let parameters: [HubParameter]
    let answer: Answer
    /// Whether a call of it suspends.
    let isAwaited: Bool

    /// - Returns: nil after telling `context` why the function cannot be called by clients.
    init?(
        _ function: FunctionDeclSyntax, of hub: some DeclGroupSyntax & NamedDeclSyntax,
        in context: some MacroExpansionContext
    ) {
        let mark = HubMethodMark(of: function)
        let parameters = function.parameters.compactMap {
            HubParameter($0, of: function, selfName: hub.name, in: context)
        }
        let answer = Self.answer(of: function, isMarkedStreaming: mark.isStreaming, in: context)
        guard Self.isAcceptable(function, in: context), parameters.count == function.parameters.count, let answer else {
            return nil
        }
        self.declaration = function
        self.name = mark.wireName(of: function)
        self.policies = mark.policies
        self.parameters = parameters
        self.answer = answer
        let isIsolated =
            !function.modifiers.contains(.nonisolated) && (hub.isIsolated || function.attributes.hasGlobalActor)
        self.isAwaited = function.isAsync || isIsolated
    }

    private static func isAcceptable(_ function: FunctionDeclSyntax, in context: some MacroExpansionContext) -> Bool {
        if let generics = function.genericParameterClause {
            context.refuse(generics, .generic(function.baseName))
            return false
        }
        if let mutating = function.modifiers.first(.mutating) {
            let rest = function.modifiers.filter { $0 != mutating }
            let remedy = Remedy("Remove 'mutating'", replace: function, with: function.with(\.modifiers, rest))
            context.refuse(mutating, .mutating, remedy: remedy)
            return false
        }
        return true
    }

    private static func answer(
        of function: FunctionDeclSyntax, isMarkedStreaming: Bool, in context: some MacroExpansionContext
    ) -> Answer? {
        guard let type = function.signature.returnClause?.type.core, !type.isVoid else {
            guard isMarkedStreaming else { return .nothing }
            context.refuse(function.name, .streamOfNothing)
            return nil
        }
        let result = type.wrapped ?? type
        if let sequence = SequenceConstraint(result) {
            return Self.answer(of: sequence, type: result, isOptional: type.wrapped != nil, in: context)
        }
        if isMarkedStreaming || result.isNamedStream { return .stream }
        if let refusal = result.untransferable {
            context.refuse(result, refusal)
            return nil
        }
        return .value
    }

    private static func answer(
        of sequence: SequenceConstraint, type: TypeSyntax, isOptional: Bool, in context: some MacroExpansionContext
    ) -> Answer? {
        if !sequence.isSendable {
            let sendable: TypeSyntax = "\(type.trimmed) & Sendable"
            let remedy = Remedy("Add '& Sendable'", replace: type, with: sendable)
            context.refuse(type, .streamNotSendable, remedy: remedy)
            return nil
        }
        // Only an existential that is there can be opened.
        if isOptional, sequence.isExistential {
            context.refuse(type, .streamExistential)
            return nil
        }
        return .stream
    }
}

// MARK: The entry of the method table

extension HubFunction {
    /// The `HubMethodDefinition` of the function, in the short form that an array literal of them allows.
    var definition: String {
        let bindings = self.parameters.enumerated().compactMap { index, parameter in
            parameter.binding.map { "    let p\(index) = try arguments.\($0)\n" }
        }
        let arguments = bindings.isEmpty ? "_" : "arguments"
        return """
            .init(\(self.header)) { \(arguments) in
            \(bindings.joined())    return { hub, \(self.usesContext ? "context" : "_") in
            \(self.reply)
                }
            }
            """
    }

    private var header: String {
        var parts = [StringLiteralExprSyntax(content: self.name).description]
        let argumentCount = self.parameters.count(where: \.isArgument)
        let streamCount = self.parameters.count(where: \.isStream)
        if argumentCount > 0 { parts.append("parameters: \(argumentCount)") }
        if streamCount > 0 { parts.append("streams: \(streamCount)") }
        if self.answer == .stream { parts.append("kind: .stream") }
        if !self.policies.isEmpty {
            parts.append("policies: [\(self.policies.map(\.trimmedDescription).joined(separator: ", "))]")
        }
        return parts.joined(separator: ", ")
    }

    private var usesContext: Bool { self.parameters.contains(where: \.isContext) }

    private var reply: String {
        let effects = (self.declaration.isThrowing ? "try " : "") + (self.isAwaited ? "await " : "")
        return switch self.answer {
        case .nothing: "        \(effects)\(self.call)\n        return .void"
        case .value: "        try \(self.isAwaited ? "await " : "").value(\(self.call))"
        case .stream: "        \(effects).stream(\(self.call))"
        }
    }

    private var call: String {
        let arguments = self.parameters.enumerated().map { index, parameter in
            (parameter.label.map { "\($0): " } ?? "") + (parameter.isContext ? "context" : "p\(index)")
        }
        return "hub.\(self.declaration.name.trimmed)(\(arguments.joined(separator: ", ")))"
    }
}
