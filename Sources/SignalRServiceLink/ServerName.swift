// SignalBox: what this process is called among the app servers of a service
// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

public enum ServerName {
    /// The machine's name and 32 random hexadecimal digits (service reference, "HTTP upgrade").
    public static let ofThisProcess: String = {
        let machine = ProcessInfo.processInfo.hostName.filter {
            $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-")
        }
        return "\(machine.isEmpty ? "server" : machine)_\(hexadecimal(digits: 32))"
    }()

    static func hexadecimal(digits: Int) -> String {
        var random = SystemRandomNumberGenerator()
        return String((0..<digits).map { _ in "0123456789abcdef".randomElement(using: &random) ?? "0" })
    }
}
