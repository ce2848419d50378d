// SignalBox: coding errors say where and why; nesting has a limit
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct ErrorTests {
    private struct Team: Codable { var members: [Person] }

    private func failure<T: Decodable>(_ type: T.Type, _ text: String) -> (path: String, reason: String, kind: String)?
    {
        func describe(_ context: DecodingError.Context, _ kind: String) -> (String, String, String) {
            (
                context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: "."),
                context.debugDescription, kind
            )
        }
        do {
            _ = try json(text).decode(type)
            return nil
        } catch DecodingError.typeMismatch(_, let context) {
            return describe(context, "type")
        } catch DecodingError.valueNotFound(_, let context) {
            return describe(context, "value")
        } catch DecodingError.keyNotFound(_, let context) {
            return describe(context, "key")
        } catch DecodingError.dataCorrupted(let context) {
            return describe(context, "data")
        } catch {
            return nil
        }
    }

    @Test func sayWhereAndWhy() {
        let person = #""name":"x","suit":"hearts","tags":[]"#
        func check(_ text: String, _ path: String, _ reason: String, _ kind: String) {
            let failure = failure(Team.self, text)
            #expect(failure?.path == path)
            #expect(failure?.reason == reason)
            #expect(failure?.kind == kind)
        }
        check(
            #"{"members":[{"# + person + #","age":"old"}]}"#,
            "members.0.age",
            "Expected Int, found a string.",
            "type"
        )
        check(
            #"{"members":[{"# + person + #","age":1.5}]}"#,
            "members.0.age",
            "Expected Int, found a floating-point number.",
            "type"
        )
        check(#"{"members":[{"# + person + #","age":null}]}"#, "members.0.age", "Expected Int, found null.", "value")
        check(#"{"members":[{"# + person + #"}]}"#, "members.0", "The object has no member 'age'.", "key")
        check(#"{"members":[5]}"#, "members.0", "Expected an object, found an integer.", "type")
        check(#"{"members":{}}"#, "members", "Expected an array, found an object.", "type")
        check(#"{"members":null}"#, "members", "Expected an array, found null.", "value")
        check("[]", "", "Expected an object, found an array.", "type")
        check(
            #"{"members":[{"# + person + #","age":9223372036854775808}]}"#,
            "members.0.age",
            "The number does not fit Int.",
            "data"
        )
    }

    @Test func encodingErrorsSayWhere() throws {
        let error = try #require(throws: EncodingError.self) { try encoded(["a": [1, UInt128.max]]) }
        guard case .invalidValue(_, let context) = error else { throw error }
        #expect(context.codingPath.map(\.stringValue) == ["a", "Index 1"])
        #expect(context.debugDescription == "The number does not fit 64 bits.")
    }

    @Test func unreadablePayloads() {
        #expect(throws: HubProtocolError.self) { try json("[1").decode([Int].self) }
        #expect(throws: HubProtocolError.self) { try json("").decode(Person.self) }
    }
}

@Suite struct DepthTests {
    private func arrays(_ depth: Int) -> HubValue {
        (1..<depth).reduce(.array([])) { value, _ in .array([value]) }
    }

    private func tree(_ depth: Int) -> Tree {
        // Each level of the tree is an object and an array.
        (1..<depth / 2).reduce(Tree(label: "", children: [])) { tree, _ in Tree(label: "", children: [tree]) }
    }

    @Test func sixtyFourLevelsPass() throws {
        #expect(try decoded(Tree.self, encoded(tree(64))) == tree(64))
        #expect(try encoded(arrays(64)) == arrays(64))
        #expect(try decoded(Nest.self, arrays(64)).depth == 64)
        #expect(try encoded(["x": arrays(63)]) == map(("x", arrays(63))))
    }

    @Test func deeperIsRefused() {
        #expect(throws: EncodingError.self) { try encoded(tree(66)) }
        #expect(throws: EncodingError.self) { try encoded(arrays(65)) }
        #expect(throws: EncodingError.self) { try encoded(["x": arrays(64)]) }
        #expect(throws: DecodingError.self) { try decoded(Nest.self, arrays(65)) }
    }

    @Test func bombs() {
        #expect(throws: EncodingError.self) { try encoded(Endless.object) }
        #expect(throws: EncodingError.self) { try encoded(Endless.array) }
        #expect(throws: EncodingError.self) { try encoded(Endless.single) }
        #expect(throws: DecodingError.self) { try decoded(Nest.self, arrays(1_000)) }
        #expect(throws: DecodingError.self) { try decoded(Hall.self, .int(1)) }
    }

    @Test func nestedContainersCountToo() {
        func nested(_ levels: Int) -> Encode {
            Encode {
                var container = $0.unkeyedContainer()
                for _ in 1..<levels { container = container.nestedUnkeyedContainer() }
            }
        }
        #expect(throws: Never.self) { try encoded(nested(64)) }
        #expect(throws: EncodingError.self) { try encoded(nested(65)) }
        #expect(throws: EncodingError.self) { try encoded(nested(1_000_000)) }
    }

    /// Arrays in arrays, whatever their depth.
    private struct Nest: Decodable {
        var depth: Int

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            self.depth = container.isAtEnd ? 1 : try container.decode(Nest.self).depth + 1
        }
    }

    /// A hall of mirrors: each value says it is another one.
    private struct Hall: Decodable {
        init(from decoder: any Decoder) throws { self = try decoder.singleValueContainer().decode(Hall.self) }
    }

    private enum Endless: Encodable {
        case object, array, single

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .object:
                var container = encoder.container(keyedBy: Key.self)
                try container.encode(self, forKey: Key(stringValue: "next"))
            case .array:
                var container = encoder.unkeyedContainer()
                try container.encode(self)
            case .single:
                var container = encoder.singleValueContainer()
                try container.encode(self)
            }
        }
    }
}
