// SignalBox: expands a piece of source with the macros and collects what they say about it
// SPDX-License-Identifier: Apache-2.0

import SwiftDiagnostics
import SwiftParser
import SwiftSyntax
import SwiftSyntaxBuilder
import SwiftSyntaxMacroExpansion
import SwiftSyntaxMacros

struct Expansion {
    /// The source after expansion, without blank lines around it.
    let source: String
    let refusals: [Refused]

    init(_ original: String) {
        let file = Parser.parse(source: original)
        let context = BasicMacroExpansionContext(
            sourceFiles: [file: .init(moduleName: "Example", fullFilePath: "Example.swift")]
        )
        let expanded = file.expand(
            macroSpecs: [
                "Hub": MacroSpec(type: HubMacro.self, conformances: ["Hub"]),
                "HubMethod": MacroSpec(type: HubMethodMacro.self),
                "HubClient": MacroSpec(type: HubClientMacro.self),
            ],
            contextGenerator: {
                BasicMacroExpansionContext(sharingWith: context, lexicalContext: $0.allMacroLexicalContexts())
            },
            indentationWidth: .spaces(4)
        )
        self.source = String(
            expanded.description.drop(while: \.isNewline).reversed().drop(while: \.isNewline).reversed())
        self.refusals = context.diagnostics.map { Refused($0, of: original, in: context) }
    }
}

/// One error as its reader sees it.
struct Refused: Equatable, CustomStringConvertible {
    let message: String
    /// The code that it stands on.
    let node: String
    var notes: [String] = []
    /// The source with the fix-it applied; nil when none is offered.
    var fixed: String?

    var description: String { "\(self.node): \(self.message)\(self.fixed.map { "\n\($0)" } ?? "")" }
}

extension Refused {
    fileprivate init(_ diagnostic: Diagnostic, of source: String, in context: BasicMacroExpansionContext) {
        /// What the source has where an editor would show `node`; nothing if the macro lost the place.
        func text(of node: Syntax) -> String {
            let location = context.location(
                for: node.positionAfterSkippingLeadingTrivia, anchoredAt: node, fileName: "Example.swift")
            let bytes = Array(source.utf8)
            let end = location.offset + node.trimmedLength.utf8Length
            return end <= bytes.count ? String(decoding: bytes[location.offset..<end], as: UTF8.self) : ""
        }
        self.message = diagnostic.message
        self.node = text(of: diagnostic.node)
        self.notes = diagnostic.notes.map { "\(text(of: $0.node)): \($0.message)" }
        self.fixed = diagnostic.fixIts.first.map { Self.apply($0, to: source) }
    }

    /// Good for sources in which what a fix-it replaces stands once.
    private static func apply(_ fixIt: FixIt, to source: String) -> String {
        fixIt.changes.reduce(source) { source, change in
            guard case .replace(let old, let new) = change else { return "?" }
            return source.replacing(old.description, with: new.description, maxReplacements: 1)
        }
    }
}

extension Expansion {
    /// What `@Hub` puts into the method table for one function.
    static func entry(for function: String, in type: String = "struct Chat") -> String {
        let expansion = Self("@Hub \(type) {\n    \(function)\n}")
        let lines = expansion.source.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.drop { !$0.hasSuffix("= [") }.dropFirst().prefix { $0 != "    ]" }
            .map { $0.dropFirst(8) }.joined(separator: "\n")
    }

    /// What `@Hub` says about one function.
    static func refusals(of function: String) -> [Refused] { Self("@Hub struct Chat {\n    \(function)\n}").refusals }
}
