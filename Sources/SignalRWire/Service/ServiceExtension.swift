// SignalBox: what later versions of the service protocol added to a message, by number
// SPDX-License-Identifier: Apache-2.0

extension ServiceMessage {
    /// The map from small numbers to values that most messages carry (service reference, "Extension members").
    ///
    /// Peers lose track of a message with a key that they do not know for it: only what the reference names may be written.
    public struct Extension: Sendable, Hashable, ExpressibleByArrayLiteral {
        public enum Value: Sendable, Hashable {
            case int(Int64)
            case text(String)
            case flag(Bool)
        }

        public struct Member: Sendable, Hashable {
            public let key: Int64
            public let value: Value
        }

        enum Key {
            static let tracingID: Int64 = 1
            static let lifetime: Int64 = 2
            static let `protocol`: Int64 = 3
            static let filter: Int64 = 4
            static let dataType: Int64 = 5
            static let isPartial: Int64 = 6
        }

        public private(set) var members: [Member] = []

        public init() {}
        public init(arrayLiteral members: Member...) { self.members = members }

        mutating func append(_ key: Int64, _ value: Value) { self.members.append(Member(key: key, value: value)) }

        private func value(of key: Int64) -> Value? { self.members.last { $0.key == key }?.value }
        private func text(_ key: Int64) -> String? {
            if case .text(let text)? = self.value(of: key) { text } else { nil }
        }
        private func int(_ key: Int64) -> Int64? {
            if case .int(let number)? = self.value(of: key) { number } else { nil }
        }

        /// Marks a message for tracing.
        public var tracingID: UInt64? { self.int(Key.tracingID).map { UInt64(bitPattern: $0) } }
        /// How long a user is to stay in a group, in seconds.
        public var lifetime: Int64? { self.int(Key.lifetime) }
        /// The hub protocol of a client.
        public var `protocol`: String? { self.text(Key.protocol) }
        /// Which receivers a message is meant for, as an OData expression.
        public var filter: String? { self.text(Key.filter) }
        /// What a client's data is: 0 unknown, 1 handshake, 2 invocation, 3 other, 4 close.
        public var dataType: Int64? { self.int(Key.dataType) }
        /// Whether more of the same hub message follows.
        public var isPartial: Bool {
            if case .flag(let flag)? = self.value(of: Key.isPartial) { flag } else { false }
        }

        /// What of it may be handed on to another server, whose version knows these members of ClientInvocation (1) and ClientCompletion
        /// (1 and 3) but maybe no others.
        public func handedOn(withProtocol: Bool) -> Extension {
            var some = Extension()
            some.members = members.filter {
                $0.key == Key.tracingID || withProtocol && $0.key == Key.protocol
            }
            return some
        }

        public static func `protocol`(_ name: String) -> Extension {
            [Member(key: Key.protocol, value: .text(name))]
        }

        public static func tracing(_ id: UInt64) -> Extension {
            [Member(key: Key.tracingID, value: .int(Int64(bitPattern: id)))]
        }

        public static func filter(_ expression: String) -> Extension {
            [Member(key: Key.filter, value: .text(expression))]
        }

        public static func lifetime(_ seconds: Int64) -> Extension {
            [Member(key: Key.lifetime, value: .int(seconds))]
        }
    }
}
