// SignalBox: libFuzzer's way into what classic clients say
// SPDX-License-Identifier: Apache-2.0

import WireProperties

/// Called by libFuzzer with every input; always returns 0, as it must.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    do {
        try WireProperty.classic.check(Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        // The fuzzer learns of a bug by a crash.
        preconditionFailure("\(error)")
    }
    return 0
}
