// SignalBox: what the macros say about code they cannot accept
// SPDX-License-Identifier: Apache-2.0

import SwiftDiagnostics
import SwiftSyntax
import SwiftSyntaxMacros

/// The reason for an error. Every one stands on the node that has to change.
enum Refusal: Hashable {
    case hubType
    case hubClass
    case hook(String)
    case duplicate(String)
    case generic(String)
    case mutating
    case conditional

    case tuple
    case closure
    case existential
    case `inout`
    case isolated
    case variadic
    case uploadType
    case uploadFailure

    case streamNotSendable
    case streamExistential
    case streamOfNothing

    case methodName
    case methodStreaming
    case methodTarget
    case methodExtension
    case methodNotCallable(String)

    case clientType
    case clientMember
    case clientEffects
    case clientStream
    case clientAttribute
}

extension Refusal: DiagnosticMessage {
    var severity: DiagnosticSeverity { .error }
    var diagnosticID: MessageID { MessageID(domain: "SignalRMacros", id: "\(self)") }

    var message: String {
        switch self {
        case .hubType: "@Hub belongs on a struct, a final class or an actor"
        case .hubClass: "A hub class must be final"
        case .hook(let declaration): "This is no lifetime hook; the hook is 'func \(declaration) async throws'"
        // These two are the texts of the reference server, which operators search for.
        case .duplicate(let name): "Duplicate definitions of '\(name)'. Overloading is not supported."
        case .generic(let name): "Method '\(name)' is a generic method which is not supported on a Hub."
        case .mutating: "A hub method cannot be mutating: one value serves all calls"
        case .conditional: "A hub method cannot stand inside #if; put the condition into its body"

        case .tuple: "A tuple is not Codable; use a struct"
        case .closure: "A closure cannot travel over a connection"
        case .existential: "An argument needs a concrete type that is Decodable and Sendable"
        case .inout: "An inout parameter cannot travel back to the caller"
        case .isolated: "An isolated parameter cannot be bound to an argument"
        case .variadic: "Variadic parameters cannot be bound to arguments; use an array"
        case .uploadType: "A stream that the client uploads is a HubStream"
        case .uploadFailure: "A stream that the client uploads can fail; write 'any Error' as its failure type"

        case .streamNotSendable: "The stream leaves its method and must be Sendable"
        case .streamExistential: "An optional stream needs 'some' instead of 'any'"
        case .streamOfNothing: "A streaming method must return an AsyncSequence"

        case .methodName: "The name of a hub method must be a string literal that is not empty"
        case .methodStreaming: "'streaming' must be true or false"
        case .methodTarget: "@HubMethod belongs on a function of a @Hub type or of a @HubClient protocol"
        case .methodExtension: "Functions in extensions are not callable; move it into the @Hub type"
        case .methodNotCallable(let reason): "@HubMethod has no effect: clients cannot call a \(reason)"

        case .clientType: "@HubClient belongs on a protocol"
        case .clientMember: "A client protocol has only instance methods"
        case .clientEffects: "A client method must be 'async throws'"
        case .clientStream: "Clients neither take nor return streams in a call from the server"
        case .clientAttribute: "A client method has only a name"
        }
    }
}

/// A note or the label of a fix-it.
struct Remark: NoteMessage, FixItMessage {
    let message: String
    var noteID: MessageID { MessageID(domain: "SignalRMacros", id: self.message) }
    var fixItID: MessageID { self.noteID }

    init(_ message: String) { self.message = message }
}

/// An edit that would make refused code acceptable.
struct Remedy {
    let fixIt: FixIt

    /// Puts `new` where `old` stands, keeping the white space around it.
    init(_ label: String, replace old: some SyntaxProtocol, with new: some SyntaxProtocol) {
        var replacement = Syntax(new)
        replacement.leadingTrivia = old.leadingTrivia
        replacement.trailingTrivia = old.trailingTrivia
        let change = FixIt.Change.replace(oldNode: Syntax(old), newNode: replacement)
        self.fixIt = FixIt(message: Remark(label), changes: [change])
    }
}

extension MacroExpansionContext {
    func refuse(
        _ node: some SyntaxProtocol, _ reason: Refusal,
        note: (text: String, node: Syntax)? = nil, remedy: Remedy? = nil
    ) {
        diagnose(
            Diagnostic(
                node: node,
                message: reason,
                notes: note.map { [Note(node: $0.node, message: Remark($0.text))] } ?? [],
                fixIts: remedy.map { [$0.fixIt] } ?? []
            )
        )
    }
}
