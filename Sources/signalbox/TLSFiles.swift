// SignalBox: certificates: read from files, and read again without a restart
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOSSL

/// A certificate chain and its key, both PEM.
struct TLSFiles: Hashable {
    var certificate: String
    var key: String

    /// - Throws: ``Failure`` that names the file.
    static func chain(_ file: String) throws -> [NIOSSLCertificateSource] {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(file)
        } catch {
            throw Failure(.configuration, "cannot read a certificate from \(file)")
        }
        guard !chain.isEmpty else { throw Failure(.configuration, "cannot read a certificate from \(file)") }
        return chain.map { .certificate($0) }
    }

    /// - Throws: ``Failure`` that names the file.
    static func privateKey(_ file: String) throws -> NIOSSLPrivateKeySource {
        do {
            return .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
        } catch {
            throw Failure(.configuration, "cannot read a private key from \(file)")
        }
    }
}

/// What a listener shows to clients. New connections get the files' content of the last reload.
final class TLSIdentity: Sendable {
    struct Content: Hashable {
        let chain: [NIOSSLCertificateSource]
        let key: NIOSSLPrivateKeySource
    }

    private let files: TLSFiles
    private let content: NIOLockedValueBox<Content>

    /// - Throws: ``Failure`` that names the file.
    init(_ files: TLSFiles) throws {
        self.files = files
        self.content = NIOLockedValueBox(try Self.read(files))
    }

    private static func read(_ files: TLSFiles) throws -> Content {
        let content = Content(chain: try TLSFiles.chain(files.certificate), key: try TLSFiles.privateKey(files.key))
        do {
            // Whether they belong together.
            _ = try NIOSSLContext(
                configuration: .makeServerConfiguration(certificateChain: content.chain, privateKey: content.key))
        } catch {
            throw Failure(
                .configuration, "the key in \(files.key) is not that of the certificate in \(files.certificate)")
        }
        return content
    }

    /// What is in the files now.
    /// - Throws: ``Failure`` that names the file.
    func read() throws -> Content { try Self.read(files) }

    /// - Returns: whether it is anything else than before.
    func replace(_ next: Content) -> Bool {
        content.withLockedValue { content in
            defer { content = next }
            return content != next
        }
    }

    var configuration: TLSConfiguration {
        let first = content.withLockedValue { $0 }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: first.chain, privateKey: first.key)
        let content = content
        configuration.sslContextCallback = { _, promise in
            var override = NIOSSLContextConfigurationOverride()
            let current = content.withLockedValue { $0 }
            override.certificateChain = current.chain
            override.privateKey = current.key
            promise.succeed(override)
        }
        return configuration
    }
}
