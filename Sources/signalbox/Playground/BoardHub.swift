// SignalBox: the playground's whiteboard: strokes and cursors for everybody else, and what was drawn for newcomers
// SPDX-License-Identifier: Apache-2.0

import SignalR

/// A piece of a line, or all of it. Coordinates go from 0 to 1.
struct Stroke: Codable, Sendable {
    var id: String
    var color: String
    var width: Double
    var points: [[Double]]
    /// Whether this is the line's last piece.
    var done: Bool
}

/// What clients call on the whiteboard.
struct BoardHub: Hub {
    static let methods: [HubMethodDefinition<BoardHub>] = [
        HubMethodDefinition("draw", parameters: 1) { arguments in
            let stroke = try arguments.next(Stroke.self)
            return { hub, context in
                try await hub.draw(stroke, context)
                return .void
            }
        },
        HubMethodDefinition("cursor", parameters: 4) { arguments in
            let (x, y) = (try arguments.next(Double.self), try arguments.next(Double.self))
            let (name, color) = (try arguments.next(String.self), try arguments.next(String.self))
            return { _, context in
                try await context.clients.others.send("cursor", context.connectionID, x, y, name, color)
                return .void
            }
        },
        HubMethodDefinition("clear") { _ in
            { hub, context in
                try await hub.clear(context)
                return .void
            }
        },
        HubMethodDefinition("history") { _ in { hub, _ in try .value(await hub.board.finished) } },
    ]

    private let board = Board()
    private let visitors = Visitors()

    func onConnected(_ context: HubCallerContext) async throws {
        try await context.clients.all.send("online", visitors.came())
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        await board.forget(context.connectionID)
        try await context.clients.all.send("left", context.connectionID)
        try await context.clients.all.send("online", visitors.left())
    }

    func draw(_ stroke: Stroke, _ context: HubCallerContext) async throws {
        await board.add(stroke, from: context.connectionID)
        try await context.clients.others.send("draw", stroke)
    }

    func clear(_ context: HubCallerContext) async throws {
        await board.clear()
        try await context.clients.all.send("clear")
    }
}

/// What was drawn. Everything is bounded, since everybody may draw.
actor Board {
    private static let maximumStrokes = 500
    private static let maximumPoints = 2_000

    private(set) var finished: [Stroke] = []
    /// The line that each connection is drawing.
    private var unfinished: [String: Stroke] = [:]

    func add(_ piece: Stroke, from connection: String) {
        var stroke = piece
        if let begun = unfinished[connection], begun.id == piece.id {
            stroke.points = begun.points + piece.points
        }
        stroke.points = Array(stroke.points.prefix(Self.maximumPoints))
        unfinished[connection] = piece.done ? nil : stroke
        guard piece.done else { return }
        finished.append(stroke)
        if finished.count > Self.maximumStrokes { finished.removeFirst() }
    }

    func forget(_ connection: String) { unfinished[connection] = nil }

    func clear() {
        finished = []
        unfinished = [:]
    }
}
