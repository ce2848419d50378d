// SignalBox: one parameter of a hub method: the caller, an argument, or an uploaded stream
// SPDX-License-Identifier: Apache-2.0

import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacros

struct HubParameter {
    private enum Source {
        case caller
        case argument(TypeSyntax)
        case stream(of: TypeSyntax)
    }

    let label: String?
    private let source: Source

    /// - Returns: nil after telling `context` why no client can supply the parameter.
    init?(
        _ parameter: FunctionParameterSyntax, of function: FunctionDeclSyntax, selfName: TokenSyntax,
        in context: some MacroExpansionContext
    ) {
        guard Self.isAcceptable(parameter, in: context) else { return nil }
        guard let source = Self.source(parameter, of: function, in: context) else { return nil }
        self.label = parameter.label
        self.source =
            switch source {
            case .caller: .caller
            case .argument(let type): .argument(type.naming(self: selfName))
            case .stream(let element): .stream(of: element.naming(self: selfName))
            }
    }

    var isContext: Bool { if case .caller = self.source { true } else { false } }
    var isArgument: Bool { if case .argument = self.source { true } else { false } }
    var isStream: Bool { if case .stream = self.source { true } else { false } }

    /// The call of `HubArgumentDecoder` that yields the value; nil for the caller.
    var binding: String? {
        switch self.source {
        case .caller: nil
        case .argument(let type): "next(\(type.trimmed).self)"
        case .stream(let element): "nextStream(of: \(element.trimmed).self)"
        }
    }
}

extension HubParameter {
    private static func isAcceptable(
        _ parameter: FunctionParameterSyntax, in context: some MacroExpansionContext
    ) -> Bool {
        if parameter.ellipsis != nil {
            let array = parameter.with(\.type, "[\(parameter.type.trimmed)]").with(\.ellipsis, nil)
            context.refuse(parameter, .variadic, remedy: Remedy("Use an array", replace: parameter, with: array))
            return false
        }
        guard let type = parameter.type.as(AttributedTypeSyntax.self) else { return true }
        let specifiers = type.specifiers.compactMap { $0.as(SimpleTypeSpecifierSyntax.self)?.specifier.tokenKind }
        if specifiers.contains(.keyword(.inout)) {
            context.refuse(type, .inout, remedy: Remedy("Remove 'inout'", replace: type, with: type.baseType))
            return false
        }
        if specifiers.contains(.keyword(.isolated)) {
            context.refuse(type, .isolated)
            return false
        }
        return true
    }

    private static func source(
        _ parameter: FunctionParameterSyntax, of function: FunctionDeclSyntax, in context: some MacroExpansionContext
    ) -> Source? {
        let type = parameter.type.core
        if type.name == "HubCallerContext" { return .caller }
        if type.name == "HubStream", let element = type.genericArguments.first { return .stream(of: element) }
        if let sequence = SequenceConstraint(type), let element = sequence.arguments.first {
            return Self.source(of: sequence, element: element, in: context)
        }
        if type.isNamedStream {
            let remedy = type.genericArguments.first.map { element in
                Remedy("Use 'HubStream'", replace: type, with: "HubStream<\(element.trimmed)>" as TypeSyntax)
            }
            context.refuse(type, .uploadType, remedy: remedy)
            return nil
        }
        let content = type.wrapped ?? type
        if let constraint = content.as(SomeOrAnyTypeSyntax.self) {
            let isOpaque = constraint.someOrAnySpecifier.tokenKind == .keyword(.some)
            context.refuse(type, isOpaque ? .generic(function.baseName) : .existential)
            return nil
        }
        if let refusal = content.untransferable {
            context.refuse(type, refusal)
            return nil
        }
        // `T!` is no type of its own.
        return .argument(type.is(ImplicitlyUnwrappedOptionalTypeSyntax.self) ? "\(content.trimmed)?" : type)
    }

    private static func source(
        of sequence: SequenceConstraint, element: TypeSyntax, in context: some MacroExpansionContext
    ) -> Source? {
        guard sequence.arguments.count == 2, let failure = sequence.arguments.last,
            failure.core.as(SomeOrAnyTypeSyntax.self) == nil
        else { return .stream(of: element) }
        context.refuse(failure, .uploadFailure)
        return nil
    }
}

extension TypeSyntax {
    /// Why values of the type cannot be payload, as far as its spelling shows.
    var untransferable: Refusal? {
        if self.is(TupleTypeSyntax.self) { return .tuple }
        return self.is(FunctionTypeSyntax.self) ? .closure : nil
    }
}
