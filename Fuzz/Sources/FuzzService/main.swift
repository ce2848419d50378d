// SignalBox: libFuzzer's way into the service protocol
// SPDX-License-Identifier: Apache-2.0

import WireProperties

/// Called by libFuzzer with every input; always returns 0, as it must.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    do {
        try WireProperty.service.check(Array(UnsafeBufferPointer(start: start, count: count)))
    } catch {
        // The fuzzer learns of a bug by a crash.
        preconditionFailure("\(error)")
    }
    return 0
}
