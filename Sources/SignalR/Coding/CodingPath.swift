// SignalBox: where in a value an encoder or decoder stands
// SPDX-License-Identifier: Apache-2.0

/// The keys from the outermost value to the current one, linked from the inside out, so that a step costs one small
/// object and the array is made only for an error or for `codingPath`.
struct CodingPath: Sendable {
    /// Arrays and maps around a value, as many as .NET's JSON reader allows (core protocol reference, payload types).
    static let maximumDepth = 64
    /// A type that hands itself to a single value container over and over would never come to an end.
    private static let maximumWraps = 64

    private final class Step: Sendable {
        let key: any CodingKey
        let outer: Step?

        init(key: any CodingKey, outer: Step?) {
            self.key = key
            self.outer = outer
        }
    }

    static let root = CodingPath(innermost: nil, depth: 0, wraps: 0)

    private var innermost: Step?
    /// How many arrays and maps are around this place.
    private(set) var depth: Int
    /// How many single value containers in a row led here.
    private var wraps: Int

    /// Whether an array or a map may open at this place.
    var allowsContainer: Bool { self.depth < Self.maximumDepth }
    var isTooDeep: Bool { self.depth > Self.maximumDepth || self.wraps > Self.maximumWraps }

    func inside(_ key: any CodingKey) -> CodingPath {
        CodingPath(innermost: Step(key: key, outer: self.innermost), depth: self.depth + 1, wraps: 0)
    }

    func inside(_ index: Int) -> CodingPath {
        self.inside(HubCodingKey(intValue: index))
    }

    /// The same place, one single value container further.
    func wrapped() -> CodingPath {
        CodingPath(innermost: self.innermost, depth: self.depth, wraps: self.wraps + 1)
    }

    var keys: [any CodingKey] {
        var keys: [any CodingKey] = []
        var step = self.innermost
        while let current = step {
            keys.append(current.key)
            step = current.outer
        }
        return keys.reversed()
    }
}

/// A key that no type declares: an index of an array, or the place of a superclass.
struct HubCodingKey: CodingKey {
    static let `super` = HubCodingKey(name: "super", intValue: nil)

    private let name: String
    let intValue: Int?

    var stringValue: String { self.intValue.map { "Index \($0)" } ?? self.name }

    init(stringValue: String) { self.init(name: stringValue, intValue: nil) }
    init(intValue: Int) { self.init(name: "", intValue: intValue) }

    private init(name: String, intValue: Int?) {
        self.name = name
        self.intValue = intValue
    }
}
