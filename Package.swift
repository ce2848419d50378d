// swift-tools-version:6.2
import CompilerPluginSupport
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "signalbox",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
    products: [
        .library(name: "SignalR", targets: ["SignalR"]),
        .library(name: "SignalRAuthentication", targets: ["SignalRAuthentication"]),
        .library(name: "SignalRClassic", targets: ["SignalRClassic"]),
        .library(name: "SignalRHummingbird", targets: ["SignalRHummingbird"]),
        .library(name: "SignalRService", targets: ["SignalRService"]),
        .library(name: "SignalRServiceLink", targets: ["SignalRServiceLink"]),
        .library(name: "SignalRTesting", targets: ["SignalRTesting"]),
        .library(name: "SignalRWire", targets: ["SignalRWire"]),
        // For the fuzz targets, which are a package of their own; not API.
        .library(name: "_SignalRAccess", targets: ["SignalRAccess"]),
        .library(name: "_SignalRWebSocket", targets: ["_SignalRWebSocket"]),
        .executable(name: "signalbox", targets: ["signalbox"]),
    ],
    traits: [
        .trait(name: "HubMacro", description: "@Hub, @HubMethod and @HubClient; needs swift-syntax to build."),
        .default(enabledTraits: ["HubMacro"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftlang/swift-syntax", "602.0.0"..<"604.0.0"),
    ],
    targets: [
        // Every byte we speak; no I/O.
        .target(
            name: "SignalRWire",
            dependencies: [.product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings
        ),
        // zlib's header, for permessage-deflate.
        .target(name: "CSignalRZlib", linkerSettings: [.linkedLibrary("z")]),
        // RFC 6455 messages: handshake, frames, close codes, permessage-deflate; no I/O.
        .target(
            name: "_SignalRWebSocket",
            dependencies: [
                "CSignalRZlib",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: settings
        ),
        // @Hub, @HubMethod, @HubClient (compiler plugin, trait HubMacro).
        .macro(
            name: "SignalRMacros",
            dependencies: [
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxBuilder", package: "swift-syntax"),
                .product(name: "SwiftDiagnostics", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
                .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
                .product(name: "SwiftParser", package: "swift-syntax"),
            ],
            swiftSettings: settings
        ),
        // The server library, framework-free.
        .target(
            name: "SignalR",
            dependencies: [
                "SignalRWire",
                "_SignalRWebSocket",
                .target(name: "SignalRMacros", condition: .when(traits: ["HubMacro"])),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        // Clients in memory, for tests of hubs.
        .target(
            name: "SignalRTesting",
            dependencies: [
                "SignalR",
                "SignalRWire",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // Connection strings and tokens of the service, for both its ends.
        .target(
            name: "SignalRAccess",
            dependencies: [
                "SignalR",
                "SignalRWire",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // JWT bearer tokens for hubs and for the service.
        .target(
            name: "SignalRAuthentication",
            dependencies: [
                "SignalR", .product(name: "JWTKit", package: "jwt-kit"),
                "SignalRWire",
            ],
            swiftSettings: settings
        ),
        // ASP.NET SignalR 2.x: the same hubs for clients of the generation before.
        .target(
            name: "SignalRClassic",
            dependencies: [
                "SignalR",
                "SignalRWire",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // router.signalR("/chat", hub:) and Application(router:, server: .signalR(router)).
        .target(
            name: "SignalRHummingbird",
            dependencies: [
                "SignalR",
                "SignalRClassic",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // router.signalR("/chat", hub:, service:): hubs whose clients come by the service.
        .target(
            name: "SignalRServiceLink",
            dependencies: [
                "SignalR",
                "SignalRAccess",
                "SignalRHummingbird",
                "SignalRWire",
                "_SignalRWebSocket",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        // The service as a library: client endpoint, access keys, REST.
        .target(
            name: "SignalRService",
            dependencies: [
                "SignalR",
                "SignalRAccess",
                "SignalRWire",
                "SignalRClassic",
                "SignalRHummingbird",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
            ],
            resources: [.embedInCode("REST/Web")],
            swiftSettings: settings
        ),
        // What the service keeps over a restart, in SQLite.
        .target(
            name: "SignalRServiceStore",
            dependencies: ["SignalRService", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: settings
        ),
        // serve, token, send: all of the program but its start, so that tests can import it.
        .target(
            name: "SignalBoxCommands",
            dependencies: [
                "SignalR",
                "SignalRAccess",
                "SignalRWire",
                "SignalRService",
                "SignalRServiceStore",
                "SignalRClassic",
                "SignalRHummingbird",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            path: "Sources/signalbox",
            exclude: ["Main"],
            resources: [.embedInCode("Web")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "signalbox",
            dependencies: ["SignalBoxCommands"],
            path: "Sources/signalbox/Main",
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalRServiceTests",
            dependencies: [
                "SignalR",
                "SignalRAccess",
                "SignalRWire",
                "SignalRService",
                "SignalRServiceStore",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // The link to the service byte by byte, with the test as the service, and both ends in one process.
        .testTarget(
            name: "SignalRServiceLinkTests",
            dependencies: [
                "SignalR", "SignalRAccess", "SignalRServiceLink", "SignalRWire", "_SignalRWebSocket",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalBoxCommandsTests",
            dependencies: [
                "SignalR",
                "SignalRAccess",
                "SignalRService",
                "SignalBoxCommands",
                "SignalRWire",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
            ],
            swiftSettings: settings
        ),
        // The server that Benchmarks/run measures.
        .executableTarget(
            name: "BenchmarkServer",
            dependencies: [
                "SignalR", "SignalRHummingbird",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Benchmarks/Server",
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalRWireTests",
            dependencies: ["SignalRWire", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalRWebSocketTests",
            dependencies: [
                "_SignalRWebSocket",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalRCodingTests",
            dependencies: ["SignalR", "SignalRWire", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings
        ),
        // Compiles the macros' sources itself: SwiftPM builds tests that depend on a macro for the host, that is all tests and whatever
        // they need a second time.
        .testTarget(
            name: "SignalRMacrosTests",
            dependencies: [
                "SignalR",
                .product(name: "SwiftSyntax", package: "swift-syntax"),
                .product(name: "SwiftSyntaxBuilder", package: "swift-syntax"),
                .product(name: "SwiftParser", package: "swift-syntax"),
                .product(name: "SwiftDiagnostics", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
                .product(name: "SwiftSyntaxMacroExpansion", package: "swift-syntax"),
            ],
            exclude: ["Macros/Plugin.swift"],
            swiftSettings: settings
        ),
        // The classic protocol byte by byte, over channels in memory.
        .testTarget(
            name: "SignalRClassicTests",
            dependencies: [
                "SignalR", "SignalRClassic", "SignalRWire", "_SignalRWebSocket",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalRTests",
            dependencies: [
                "SignalR", "SignalRWire",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SignalRTestingTests",
            dependencies: [
                "SignalR", "SignalRTesting", "SignalRWire", .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // Real sockets: every transport with every hub protocol.
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "SignalR", "SignalRWire", "_SignalRWebSocket", "SignalRAuthentication", "SignalRClassic",
                "SignalRHummingbird",
                "SignalRService", "SignalRServiceLink",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: settings
        ),
    ]
)

// The examples of the README, so that they always compile.
package.targets += [
    ("Chat", []), ("Streaming", []), ("Authentication", ["SignalRAuthentication"]),
    ("ServiceLink", ["SignalRServiceLink"]),
].map { name, more in
    .executableTarget(
        name: "\(name)Example",
        dependencies: more + ["SignalR", "SignalRHummingbird", .product(name: "Hummingbird", package: "hummingbird")],
        path: "Examples/\(name)",
        swiftSettings: settings
    )
}
