// SignalBox: why a command failed, in one line and an exit code
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Something that people can do something about. Codes follow sysexits.h where it has one that fits.
struct Failure: Error, CustomStringConvertible {
    enum Code: Int32 {
        case general = 1
        /// A file that is to be read is not there.
        case noInput = 66
        /// The service cannot be reached.
        case unavailable = 69
        /// A file could not be written.
        case cannotCreate = 73
        case noPermission = 77
        /// A file or a key that is not as it should be.
        case configuration = 78
    }

    let code: Code
    let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// Says it on standard error.
    func report() -> ExitCode {
        FileHandle.standardError.write(Data("signalbox: \(description)\n".utf8))
        return ExitCode(code.rawValue)
    }
}

/// Runs a command's work; a failure becomes one line on standard error and its exit code.
func reportingFailures(_ work: () async throws -> Void) async throws {
    do {
        try await work()
    } catch let failure as Failure {
        throw failure.report()
    }
}
