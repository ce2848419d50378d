// swift-tools-version:6.2
import PackageDescription

// Built and run by dev/fuzz. `swift build --sanitize=fuzzer` also instruments what the fuzzers call.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// An executable whose `main` is libFuzzer's.
func fuzzer(_ name: String, _ subject: Target.Dependency) -> Target {
    .executableTarget(
        name: name,
        dependencies: [subject],
        swiftSettings: settings + [.unsafeFlags(["-parse-as-library", "-sanitize=fuzzer"])],
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]
    )
}

let package = Package(
    name: "fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        // Without the macros, which are as much to build as all the rest.
        .package(name: "signalbox", path: "..", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    ],
    targets: [
        // What must hold for any bytes. The tests of SignalRWire check the same.
        .target(
            name: "WireProperties",
            dependencies: [
                .product(name: "SignalRWire", package: "signalbox"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "WireProperties",
            swiftSettings: settings
        ),
        // The same for the service, and the tests of SignalRService.
        .target(
            name: "ServiceProperties",
            dependencies: [
                .product(name: "SignalR", package: "signalbox"),
                .product(name: "_SignalRAccess", package: "signalbox"),
                .product(name: "SignalRService", package: "signalbox"),
                .product(name: "SignalRWire", package: "signalbox"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "ServiceProperties",
            swiftSettings: settings
        ),
        fuzzer("FuzzJSON", "WireProperties"),
        fuzzer("FuzzMessagePack", "WireProperties"),
        fuzzer("FuzzHandshake", "WireProperties"),
        fuzzer("FuzzServerSentEvents", "WireProperties"),
        fuzzer("FuzzNegotiation", "WireProperties"),
        fuzzer("FuzzService", "WireProperties"),
        fuzzer("FuzzClassic", "WireProperties"),
        fuzzer("FuzzToken", "ServiceProperties"),
        fuzzer("FuzzRest", "ServiceProperties"),
        fuzzer("FuzzWebSocket", .product(name: "_SignalRWebSocket", package: "signalbox")),
    ]
)
