// SignalBox: hubs and client protocols of every shape, expanded by the compiler itself
// SPDX-License-Identifier: Apache-2.0

#if HubMacro
public import SignalR

enum Policy { static let admin = "admin" }

@Hub
struct EveryShape {
    struct Message: Codable, Sendable { var text: String }
    struct Failure: Error {}
    typealias Numbers = AsyncStream<Int>

    func onConnected(_ context: HubCallerContext) async throws {}
    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) {}

    func plain() {}
    func throwing() throws {}
    func throwingTyped() throws(Failure) { throw Failure() }
    func throwingNever() throws(Never) {}
    func async() async {}
    func asyncThrowing() async throws { await Task.yield() }
    @MainActor func onMainActor() -> Int { 1 }
    func `default`(`in`: Int) -> Int { `in` }
    func caller(_ a: Int, from context: SignalR.HubCallerContext, to room: String) -> String? { nil }
    func types(_ a: Int?, b: Int!, c: [Self.Message], d: [String: Int], e: sending String, _ f: (Int)) -> Message? {
        c.first
    }
    func elsewhere(_ f: consuming String, `inout` g: Int) {}

    @HubMethod("renamed") func original() {}
    @HubMethod(policy: Policy.admin) func secured() {}
    @HubMethod("twice", policy: "a") @HubMethod(policy: "b") func securedTwice() {}

    func stream(_ n: Int) -> AsyncStream<Int> { AsyncStream { nil } }
    func streamThrowing() async throws -> AsyncThrowingStream<Int, any Error> { AsyncThrowingStream { nil } }
    func streamOptional() -> AsyncStream<Int>? { nil }
    func streamOpaque() -> some AsyncSequence<Int, Never> & Sendable { stream(1) }
    func streamOpaqueOptional() -> (some AsyncSequence<Int, Never> & Sendable)? { Optional(stream(1)) }
    func streamExistential() -> any AsyncSequence<Int, Never> & Sendable { stream(1) }
    func streamMapped() -> AsyncMapSequence<AsyncStream<Int>, Int> { stream(1).map { $0 * 2 } }
    @HubMethod(streaming: true) func streamAliased() -> Numbers { stream(1) }
    func streamBack(_ items: HubStream<Int>) -> HubStream<Int> { items }

    func upload(_ items: HubStream<Int>, times: Int) async throws -> Int { try await items.reduce(0, +) * times }
    func uploadOpaque(of items: some AsyncSequence<Int, any Error>) async throws -> Int { try await items.reduce(0, +) }
    func uploadExistential(_ items: any AsyncSequence<Int, any Error> & Sendable) async throws {}
    func uploadTwo(_ a: HubStream<Int>, _ b: HubStream<String>) {}

    private func hidden() {}
    fileprivate func hiddenInFile() {}
    static func factory() -> Self { Self() }
}

@Hub
public final class PublicClassHub {
    struct Stroke: Codable, Sendable {}
    func draw(_ stroke: Stroke) -> Int { 1 }
    public func clear() async {}
}

@Hub
public actor PublicActorHub {
    var count = 0
    public func onConnected(_ context: HubCallerContext) async throws { self.count += 1 }
    public func add(_ step: Int) -> Int {
        self.count += step
        return self.count
    }
    func failing() throws {}
    nonisolated func constant() -> Int { 0 }
    func stream() -> AsyncStream<Int> { AsyncStream { nil } }
    func streamExistential() -> any AsyncSequence<Int, Never> & Sendable { AsyncStream { nil } }
    func upload(_ items: some AsyncSequence<Int, any Error>) async throws {}
    func uploadExistential(_ items: any AsyncSequence<Int, any Error>) async throws {}
}

@Hub
@MainActor
final class MainActorHub {
    var text = ""
    func onConnected(_ context: HubCallerContext) async throws { self.text = context.connectionID }
    func set(text: String) { self.text = text }
    func get() -> String { self.text }
    nonisolated func constant() -> Int { 1 }
}

@Hub
struct GenericHub<Item: Codable & Sendable> {
    struct Room {}
    func echo(_ item: Item) -> Item { item }
}

extension GenericHub.Room {
    @Hub struct HubInExtension { func a() {} }
}

enum Nesting {
    @Hub package struct PackageHub { func a() {} }
    @Hub fileprivate struct FilePrivateHub { func a() {} }
    @HubClient fileprivate protocol FilePrivateClient { func a() async throws }
}

@Hub struct ConformingHub: Hub { func a() {} }

@HubClient
protocol EveryClient {
    func receive(user: String, _ message: String) async throws
    func ask(_ question: String) async throws -> Int
    func choose() async throws -> Int?
    @HubMethod("renamed") func original(of _: Int, _: Int) async throws
    @discardableResult func discardable(`in` rooms: [Int], more: Int...) async throws -> Int
    func generic(_ value: some Encodable & Sendable) async throws
    func `self`(`class`: Int) async throws
}

@HubClient
public protocol PublicClient: Sendable {
    func receive(user: String) async throws
}
#endif
