// SignalBox: reading types as they are written: names, optionals, async sequences
// SPDX-License-Identifier: Apache-2.0

import SwiftSyntax

extension TypeSyntax {
    /// The type without attributes, ownership specifiers and redundant parentheses.
    var core: TypeSyntax {
        if let attributed = self.as(AttributedTypeSyntax.self) { return attributed.baseType.core }
        if let tuple = self.as(TupleTypeSyntax.self), let only = tuple.elements.first, tuple.elements.count == 1,
            only.firstName == nil, only.ellipsis == nil
        {
            return only.type.core
        }
        return self
    }

    /// `T` of `T?`, `T!` and `Optional<T>`.
    var wrapped: TypeSyntax? {
        if let optional = self.as(OptionalTypeSyntax.self) { return optional.wrappedType.core }
        if let optional = self.as(ImplicitlyUnwrappedOptionalTypeSyntax.self) { return optional.wrappedType.core }
        return self.name == "Optional" ? self.genericArguments.first?.core : nil
    }

    /// `HubStream` of `HubStream<Int>` and of `SignalR.HubStream<Int>`.
    var name: String? {
        self.as(IdentifierTypeSyntax.self)?.name.text ?? self.as(MemberTypeSyntax.self)?.name.text
    }

    var genericArguments: [TypeSyntax] {
        let clause =
            self.as(IdentifierTypeSyntax.self)?.genericArgumentClause
            ?? self.as(MemberTypeSyntax.self)?.genericArgumentClause
        return clause?.arguments.compactMap { argument in
            if case .type(let type) = argument.argument { type } else { nil }
        } ?? []
    }

    var isVoid: Bool { self.name == "Void" || self.as(TupleTypeSyntax.self)?.elements.isEmpty == true }

    /// Whether the name says that this is a concrete async sequence: `AsyncStream`, `AsyncMapSequence`, `AsyncChannel`,
    /// `HubStream` …
    var isNamedStream: Bool {
        guard let name = self.name else { return false }
        return name == "HubStream"
            || name.hasPrefix("Async") && ["Stream", "Sequence", "Channel"].contains(where: name.hasSuffix)
    }

    /// The type with `Self` spelled out, which the initial value of a stored property in a class requires.
    func naming(self concrete: TokenSyntax) -> TypeSyntax { SelfRewriter(concrete).rewrite(self).cast(TypeSyntax.self) }
}

/// `some AsyncSequence<Element, Failure> & Sendable` or the same with `any`, taken apart.
struct SequenceConstraint {
    let arguments: [TypeSyntax]
    let isSendable: Bool
    let isExistential: Bool

    init?(_ type: TypeSyntax) {
        guard let type = type.as(SomeOrAnyTypeSyntax.self) else { return nil }
        let composition = type.constraint.core.as(CompositionTypeSyntax.self)
        let parts = composition?.elements.map(\.type.core) ?? [type.constraint.core]
        guard let sequence = parts.first(where: { $0.name == "AsyncSequence" }) else { return nil }
        self.arguments = sequence.genericArguments
        self.isSendable = parts.contains { $0.name == "Sendable" }
        self.isExistential = type.someOrAnySpecifier.tokenKind == .keyword(.any)
    }
}

private final class SelfRewriter: SyntaxRewriter {
    let concrete: TokenSyntax

    init(_ concrete: TokenSyntax) {
        self.concrete = concrete
        super.init()
    }

    override func visit(_ type: IdentifierTypeSyntax) -> TypeSyntax {
        guard type.name.tokenKind == .keyword(.Self) else { return super.visit(type) }
        return TypeSyntax(IdentifierTypeSyntax(name: self.concrete.trimmed))
    }
}
