// SignalBox: what the process costs
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

enum ProcessFigures {
    static var now: HubValue {
        .members(["cpuSeconds": .double(cpuSeconds), "residentBytes": residentBytes.map { .count($0) }])
    }

    /// Of user and system.
    static var cpuSeconds: Double {
        var usage = rusage()
        // RUSAGE_SELF, which has another type on every system.
        getrusage(0, &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return ((seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1000).rounded() / 1000
    }

    /// nil where the system does not say.
    static var residentBytes: Int? {
        #if os(Linux)
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return pages * sysconf(Int32(_SC_PAGESIZE))
        #else
        return nil
        #endif
    }
}
