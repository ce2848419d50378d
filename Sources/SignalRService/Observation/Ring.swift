// SignalBox: the last so many of something
// SPDX-License-Identifier: Apache-2.0

/// Keeps the newest elements, at most `capacity` of them, and takes no memory before it has any.
struct Ring<Element> {
    private let capacity: Int
    private var elements: [Element] = []
    /// Where the next element goes once the ring is full.
    private var next = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    mutating func append(_ element: Element) {
        guard elements.count == capacity else { return elements.append(element) }
        elements[next] = element
        next = (next + 1) % capacity
    }

    /// Oldest first.
    var all: [Element] { Array(elements[next...] + elements[..<next]) }
    var newest: Element? { elements.isEmpty ? nil : elements[(next + elements.count - 1) % elements.count] }
    var count: Int { elements.count }
}

extension Ring: Sendable where Element: Sendable {}
