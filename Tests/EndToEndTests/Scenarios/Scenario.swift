// SignalBox: the conversations of hub-vectors.json, read as steps
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SignalRWire

struct Scenario: Sendable, Decodable, CustomStringConvertible {
    struct Options: Sendable, Decodable {
        var statefulReconnect: Bool?
        var detailedErrors: Bool?
    }
    let name: String
    let options: Options?
    /// Each has one key that says what happens, and annotations for readers.
    let steps: [[String: HubValue]]

    var description: String { name }
    var isStateful: Bool { options?.statefulReconnect == true }

    /// All of them; empty when the file cannot be read, which the tests notice.
    static let all: [Scenario] = {
        struct File: Decodable { let scenarios: [Scenario] }
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Vectors/hub-vectors.json")
        guard let data = try? Data(contentsOf: file) else { return [] }
        return (try? JSONDecoder().decode(File.self, from: data).scenarios) ?? []
    }()
}

struct BadStep: Error { let step: HubValue }

extension HubMessage {
    /// A message as the vectors write it, by its JSON names.
    init(step: HubValue) throws {
        guard case .int(let type) = step["type"] else { throw BadStep(step: step) }
        let id = step["invocationId"]?.asText
        switch type {
        case 1:
            self = .call(
                step["target"]?.asText ?? "", step.items("arguments"), id: id, streams: step.texts("streamIds"))
        case 2: self = .item(id ?? "", step["item"] ?? .null)
        case 3:
            if let error = step["error"]?.asText {
                self = .failure(id ?? "", error)
            } else if let result = step["result"] {
                self = .result(id ?? "", result)
            } else {
                self = .end(id ?? "")
            }
        case 4:
            self = .stream(
                step["target"]?.asText ?? "", step.items("arguments"), id: id ?? "", streams: step.texts("streamIds"))
        case 5: self = .cancel(id ?? "")
        case 6: self = .ping
        case 7: self = .close(error: step["error"]?.asText, allowReconnect: step["allowReconnect"] == true)
        case 8, 9:
            guard case .int(let number) = step["sequenceId"] else { throw BadStep(step: step) }
            self = type == 8 ? .ack(number) : .sequence(number)
        default: throw BadStep(step: step)
        }
    }
}

extension HubValue {
    var asText: String? { if case .string(let text) = self { text } else { nil } }
    fileprivate func items(_ key: String) -> [HubValue] { if case .array(let items) = self[key] { items } else { [] } }
    fileprivate func texts(_ key: String) -> [String] { items(key).compactMap(\.asText) }
}
