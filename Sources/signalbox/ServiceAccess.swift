// SignalBox: which service the tools talk to, and with which key
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRAccess
import SignalRService

/// The options of every command that uses a running service.
struct ServiceAccess: ParsableArguments {
    static let settings: [Setting] = ["connection-string", "endpoint", "access-key", "data-folder"]

    @Option(
        help: ArgumentHelp(
            "The service's connection string, as serve prints it. [SIGNALBOX_CONNECTION_STRING]", valueName: "string"))
    var connectionString: String?

    @Option(
        help: ArgumentHelp(
            "The service's URL. (default: that of the connection string, or http://127.0.0.1:8888) [SIGNALBOX_ENDPOINT]",
            valueName: "url"))
    var endpoint: String?

    @Option(
        help: ArgumentHelp(
            "The service's access key. (default: that of the connection string, or the one that serve made) [SIGNALBOX_ACCESS_KEY]",
            valueName: "key"))
    var accessKey: String?

    @Option(
        help: ArgumentHelp("Where serve keeps the key it made. [SIGNALBOX_DATA_FOLDER]", valueName: "folder"),
        completion: .directory)
    var dataFolder = DataFolder.standard

    func validate() throws {
        do {
            if let connectionString { _ = try ConnectionString(connectionString) }
            if let endpoint { _ = try ConnectionString("Endpoint=\(endpoint);AccessKey=-") }
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// - Throws: ``Failure`` when there is no key.
    func resolved() throws -> ConnectionString {
        let given = try connectionString.map { try ConnectionString($0) }
        guard let key = try accessKey ?? given?.accessKey ?? DataFolder(path: dataFolder).accessKey() else {
            throw Failure(.configuration, "no access key; give --connection-string or --access-key, or run serve once")
        }
        var service =
            try endpoint.map { try ConnectionString("Endpoint=\($0);AccessKey=-") }
            ?? given ?? ConnectionString(endpoint: "http://127.0.0.1:8888", accessKey: key)
        service.accessKey = key
        return service
    }
}
