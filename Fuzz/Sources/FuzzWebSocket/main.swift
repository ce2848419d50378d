// SignalBox: libFuzzer's way into the WebSocket reader
// SPDX-License-Identifier: Apache-2.0

import _SignalRWebSocket

/// Called by libFuzzer with every input; always returns 0, as it must.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let agrees = WebSocketFuzzing.run(UnsafeRawBufferPointer(start: start, count: count))
    // The fuzzer learns of a bug by a crash.
    precondition(agrees, "The same bytes, cut differently, read differently.")
    return 0
}
