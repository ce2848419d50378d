// SignalBox: the parts of service-vectors.json that concern tokens, URLs and REST
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The recorded facts about the service's wire.
struct Vectors: Decodable {
    struct Token: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let key: String
        let token: String
        let payload: Payload
        var testDescription: String { name }

        struct Payload: Decodable, Sendable {
            let aud: String
        }
    }

    struct ConnectionStrings: Decodable {
        let valid: [Valid]
        let invalid: [Invalid]

        struct Valid: Decodable, Sendable {
            let s: String
            let version: String?
            let endpoint: String?
            let clientEndpoint: String?
            let serverEndpoint: String?
        }

        struct Invalid: Decodable, Sendable {
            let s: String
        }
    }

    struct RestURL: Decodable, Sendable {
        let op: String
        let app: String
        let hub: String
        let user: String
        let group: String
        let connection: String
        let urlAndAudience: String
    }

    struct RestBody: Decodable, Sendable {
        let contentType: String
        let body: String?
        let hex: String?
    }

    struct Signature: Decodable, Sendable {
        let connectionId: String
        let keys: [String]
        let header: String
    }

    struct Upstream: Decodable, Sendable {
        struct Template: Decodable, Sendable {
            let urlTemplate: String
            let hub: String?
            let category: String?
            let event: String?
            let url: String
        }

        struct Match: Decodable, Sendable {
            let pattern: String
            let value: String
            let match: Bool
        }

        struct Message: Decodable, Sendable {
            struct Answer: Decodable, Sendable { let bodyHex: String }
            let event: String
            let contentType: String
            let body: String?
            let bodyHex: String?
            let responseOk: Answer
        }

        struct Connected: Decodable, Sendable {
            let headers: [String: String]
            let body: String
        }

        let connected: Connected
        let messageJson: Message
        let messageMsgpack: Message
        let templates: [Template]
        let patternMatch: [Match]
    }

    let jwt: [Token]
    let upstream: Upstream
    let upstreamSignature: [Signature]
    let connectionStrings: ConnectionStrings
    let restUrls: [RestURL]
    let restBodies: [RestBody]

    static func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.count, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
    }

    static let all: Vectors = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Vectors/service-vectors.json")
        do {
            return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: file))
        } catch {
            preconditionFailure("service-vectors.json: \(error)")
        }
    }()
}
