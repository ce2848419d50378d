// SignalBox: OData filters that pick connections
// SPDX-License-Identifier: Apache-2.0

import SignalR

/// A condition on a connection's `connectionId`, `userId` and `groups`:
/// `eq`, `ne`, `in`, `not`, `and`, `or`, `startswith`, `endswith`, `contains`, parentheses (service reference, "Later versions").
indirect enum RestFilter: Equatable, Sendable {
    case always
    case equal(Field, String?)
    case among(Field, [String])
    case inGroup(String)
    case text(Comparison, Field, String)
    case not(RestFilter)
    case and(RestFilter, RestFilter)
    case or(RestFilter, RestFilter)

    enum Field: String, Sendable { case connectionID = "connectionid", userID = "userid" }
    enum Comparison: String, Sendable { case startswith, endswith, contains }

    /// What a filter may ask about a connection.
    struct Subject {
        let connectionID: String
        let userID: String?
        let groups: () -> [String]

        func value(_ field: Field) -> String? { field == .connectionID ? connectionID : userID }
    }

    func matches(_ subject: Subject) -> Bool {
        switch self {
        case .always: true
        case .equal(let field, let value): subject.value(field) == value
        case .among(let field, let values): subject.value(field).map(values.contains) ?? false
        case .inGroup(let group): subject.groups().contains(group)
        case .text(let comparison, let field, let part):
            subject.value(field).map { Self.compare(comparison, $0, part) } ?? false
        case .not(let filter): !filter.matches(subject)
        case .and(let one, let other): one.matches(subject) && other.matches(subject)
        case .or(let one, let other): one.matches(subject) || other.matches(subject)
        }
    }

    private static func compare(_ comparison: Comparison, _ value: String, _ part: String) -> Bool {
        switch comparison {
        case .startswith: value.hasPrefix(part)
        case .endswith: value.hasSuffix(part)
        case .contains: part.isEmpty || value.firstRange(of: part) != nil
        }
    }

    /// - Throws: ``RestError`` with 400. Blank text is no condition.
    init(_ text: String) throws(RestError) {
        guard text.utf8.count <= Parser.longest else { throw .invalid("The filter is too long.") }
        var parser = Parser(tokens: try Parser.tokens(text)[...])
        self = try parser.any(depth: 0)
        guard parser.tokens.isEmpty else { throw .invalid("The filter goes on where it should end.") }
    }
}

extension RestFilter.Subject {
    /// On the connection's event loop.
    init(_ connection: Connection) {
        self.init(
            connectionID: connection.id.description, userID: connection.userID, groups: { connection.groupNames })
    }
}

extension RestFilter {
    /// Recursive descent; as deep as parentheses and `not` are, and those are bounded.
    fileprivate struct Parser {
        static let longest = 8_192
        private static let deepest = 32

        enum Token: Equatable {
            case word(String), text(String), open, close, comma
        }

        var tokens: ArraySlice<Token>

        static func tokens(_ text: String) throws(RestError) -> [Token] {
            var (tokens, rest): ([Token], Substring) = ([], text[...])
            while let character = rest.first {
                switch character {
                case " ", "\t": rest.removeFirst()
                case "(", ")", ",":
                    rest.removeFirst()
                    tokens.append(character == "(" ? .open : character == ")" ? .close : .comma)
                case "'": tokens.append(.text(try quoted(&rest)))
                default:
                    let word = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
                    guard !word.isEmpty else { throw .invalid("The filter has a '\(character)' where none can be.") }
                    tokens.append(.word(word.lowercased()))
                    rest = rest[word.endIndex...]
                }
            }
            return tokens
        }

        /// A text in quotes; two quotes in it stand for one.
        private static func quoted(_ rest: inout Substring) throws(RestError) -> String {
            rest.removeFirst()
            var text = ""
            while let character = rest.popFirst() {
                guard character == "'" else {
                    text.append(character)
                    continue
                }
                guard rest.first == "'" else { return text }
                rest.removeFirst()
                text.append("'")
            }
            throw .invalid("A text in the filter has no end.")
        }

        mutating func any(depth: Int) throws(RestError) -> RestFilter {
            var filter = try all(depth: depth)
            while take(.word("or")) { filter = .or(filter, try all(depth: depth)) }
            return filter
        }

        private mutating func all(depth: Int) throws(RestError) -> RestFilter {
            var filter = try one(depth: depth)
            while take(.word("and")) { filter = .and(filter, try one(depth: depth)) }
            return filter
        }

        private mutating func one(depth: Int) throws(RestError) -> RestFilter {
            guard depth < Self.deepest else { throw .invalid("The filter is nested too deeply.") }
            if take(.word("not")) { return .not(try one(depth: depth + 1)) }
            if take(.open) {
                let filter = try any(depth: depth + 1)
                try expect(.close)
                return filter
            }
            switch tokens.popFirst() {
            case .text(let group):
                try expect(.word("in"))
                try expect(.word("groups"))
                return .inGroup(group)
            case .word(let word):
                if let comparison = Comparison(rawValue: word) { return try function(comparison) }
                guard let field = Field(rawValue: word) else { throw .invalid("The filter has no '\(word)'.") }
                return try comparison(of: field)
            default: throw .invalid("The filter lacks a condition.")
            }
        }

        private mutating func function(_ comparison: Comparison) throws(RestError) -> RestFilter {
            try expect(.open)
            guard case .word(let word)? = tokens.popFirst(), let field = Field(rawValue: word) else {
                throw .invalid("'\(comparison.rawValue)' needs userId or connectionId.")
            }
            try expect(.comma)
            let part = try text()
            try expect(.close)
            return .text(comparison, field, part)
        }

        private mutating func comparison(of field: Field) throws(RestError) -> RestFilter {
            if take(.word("in")) {
                try expect(.open)
                var values = [try text()]
                while take(.comma) { values.append(try text()) }
                try expect(.close)
                return .among(field, values)
            }
            let isEqual = take(.word("eq"))
            if !isEqual { try expect(.word("ne")) }
            let filter = RestFilter.equal(field, take(.word("null")) ? nil : try text())
            return isEqual ? filter : .not(filter)
        }

        private mutating func text() throws(RestError) -> String {
            guard case .text(let text)? = tokens.popFirst() else {
                throw .invalid("The filter lacks a text in quotes.")
            }
            return text
        }

        private mutating func take(_ token: Token) -> Bool {
            guard tokens.first == token else { return false }
            tokens.removeFirst()
            return true
        }

        private mutating func expect(_ token: Token) throws(RestError) {
            guard take(token) else { throw .invalid("The filter lacks \(token.name).") }
        }
    }
}

extension RestFilter.Parser.Token {
    fileprivate var name: String {
        switch self {
        case .word(let word): "'\(word)'"
        case .text: "a text in quotes"
        case .open: "'('"
        case .close: "')'"
        case .comma: "','"
        }
    }
}
