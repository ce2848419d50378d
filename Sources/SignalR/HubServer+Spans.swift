// SignalBox: a span for every call, connect and disconnect of a hub
// SPDX-License-Identifier: Apache-2.0

import SignalRWire
import Tracing

/// Names and attributes are those of ASP.NET Core (core protocol reference, "Metrics and traces").
extension HubServer {
    /// Runs a call in a span whose parent comes with the message. The span of a stream lasts until its end.
    nonisolated(nonsending) func traced(
        _ method: HubMethod, _ invocation: HubMessage.Invocation, _ details: HubInvocation,
        _ call: @escaping HubMethod.Call, _ uploads: [UploadStream]
    ) async throws -> HubReply {
        guard let tracedName else { return try await filtered(method, details, call, uploads) }
        var parent = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(invocation.headers, into: &parent, using: HeaderExtractor())
        let span = startSpan("\(tracedName)/\(invocation.target)", context: parent, ofKind: .server)
        span.attributes["rpc.system"] = "signalr"
        span.attributes["rpc.service"] = tracedName
        span.attributes["rpc.method"] = invocation.target
        do {
            let reply = try await ServiceContext.withValue(span.context) {
                try await filtered(method, details, call, uploads)
            }
            if case .stream(let source) = reply.content { return HubReply(content: .stream(source.traced(by: span))) }
            span.end()
            return reply
        } catch {
            span.fail(error)
            throw error
        }
    }

    func spanned(_ event: String, _ body: () async throws -> Void) async throws {
        guard let tracedName else { return try await body() }
        try await withSpan("\(tracedName)/\(event)", ofKind: .internal) { span in
            span.attributes["rpc.system"] = "signalr"
            span.attributes["rpc.service"] = tracedName
            do {
                try await body()
            } catch {
                span.describe(error)
                throw error
            }
        }
    }
}

extension StreamSource {
    fileprivate func traced(by span: any Span) -> StreamSource {
        StreamSource { yield in
            do {
                try await ServiceContext.withValue(span.context) { try await forEach(yield) }
                span.end()
            } catch is CancellationError {
                span.end()
                throw CancellationError()
            } catch {
                span.fail(error)
                throw error
            }
        }
    }
}

extension Span {
    fileprivate func describe(_ error: any Error) {
        attributes["error.type"] = typeName(type(of: error))
        setStatus(SpanStatus(code: .error))
    }

    fileprivate func fail(_ error: any Error) {
        describe(error)
        recordError(error)
        end()
    }
}

/// A type's name with its module; without it for types whose whole name is not fit to be read.
func typeName(_ type: any Any.Type) -> String {
    let full = String(reflecting: type)
    return full.contains("(") ? "\(type)" : full
}

private struct HeaderExtractor: Extractor {
    func extract(key: String, from headers: [String: String]) -> String? { headers[key] }
}
