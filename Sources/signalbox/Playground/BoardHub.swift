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

/// What the whiteboard calls on its clients.
@HubClient
protocol BoardClient {
    func draw(_ stroke: Stroke) async throws
    func cursor(_ connectionID: String, _ x: Double, _ y: Double, _ name: String, _ color: String) async throws
    func clear() async throws
    func left(_ connectionID: String) async throws
    func online(_ count: Int) async throws
}

/// What clients call on the whiteboard.
@Hub
struct BoardHub {
    private let board = Board()
    private let visitors = Visitors()

    func onConnected(_ context: HubCallerContext) async throws {
        try await context.clients(BoardClientProxy.self).all.online(visitors.came())
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        let everybody = context.clients(BoardClientProxy.self).all
        await board.forget(context.connectionID)
        try await everybody.left(context.connectionID)
        try await everybody.online(visitors.left())
    }

    func draw(stroke: Stroke, _ context: HubCallerContext) async throws {
        await board.add(stroke, from: context.connectionID)
        try await context.clients(BoardClientProxy.self).others.draw(stroke)
    }

    func cursor(x: Double, y: Double, name: String, color: String, _ context: HubCallerContext) async throws {
        try await context.clients(BoardClientProxy.self).others.cursor(context.connectionID, x, y, name, color)
    }

    func clear(_ context: HubCallerContext) async throws {
        await board.clear()
        try await context.clients(BoardClientProxy.self).all.clear()
    }

    /// The finished lines, oldest first.
    func history() async -> [Stroke] { await board.finished }
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
