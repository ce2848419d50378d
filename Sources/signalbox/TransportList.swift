// SignalBox: transports as people write them on a command line
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalR

/// Names of transports, such as `webSockets,longPolling`, in any case.
struct TransportList: ExpressibleByArgument, CustomStringConvertible {
    static let all = TransportList(names: TransportName.allCases)

    let names: [TransportName]

    private init(names: [TransportName]) { self.names = names }

    /// nil for an unknown name, and for a list with nothing that clients of ASP.NET Core have.
    init?(argument: String) {
        var names: [TransportName] = []
        for word in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let name = TransportName(caseInsensitive: word.filter { $0 != " " }) else { return nil }
            if !names.contains(name) { names.append(name) }
        }
        self.names = names
        if kinds.isEmpty { return nil }
    }

    /// Those of clients of ASP.NET Core, in the order in which they try them.
    var kinds: [TransportKind] { TransportKind.allCases.filter { names.contains($0.name) } }

    var description: String { names.map(\.rawValue).joined(separator: ",") }
}
