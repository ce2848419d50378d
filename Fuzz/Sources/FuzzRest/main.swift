// SignalBox: libFuzzer's way into REST requests, filters and bodies
// SPDX-License-Identifier: Apache-2.0

import ServiceProperties

/// Called by libFuzzer with every input; always returns 0, as it must.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    do {
        try ServiceProperty.rest.check(Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        // The fuzzer learns of a bug by a crash.
        preconditionFailure("\(error)")
    }
    return 0
}
