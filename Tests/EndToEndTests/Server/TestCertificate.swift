// SignalBox: a certificate for one test run, in files as operators have them
// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import NIOSSL
import SwiftASN1
import X509

/// A self-signed certificate for 127.0.0.1 and its key, as PEM files that go with the value.
final class TestCertificate: Sendable {
    let certificate: URL
    let key: URL

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "signalbox-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        self.certificate = folder.appending(path: "certificate.pem")
        self.key = folder.appending(path: "key.pem")
        let secret = P256.Signing.PrivateKey()
        try Self.selfSigned(secret).serializeAsPEM().pemString.write(to: certificate, atomically: true, encoding: .utf8)
        try secret.pemRepresentation.write(to: key, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(at: certificate.deletingLastPathComponent()) }

    private static func selfSigned(_ secret: P256.Signing.PrivateKey) throws -> Certificate {
        let name = try DistinguishedName { CommonName("SignalBox test") }
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(secret.publicKey),
            notValidBefore: .now - 3600, notValidAfter: .now + 86_400, issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                SubjectAlternativeNames([.ipAddress(.init(contentBytes: [127, 0, 0, 1]))])
            },
            issuerPrivateKey: .init(secret))
    }

    /// A server with the files, and a client that trusts nothing else.
    func configurations() throws -> (server: TLSConfiguration, client: TLSConfiguration) {
        let chain = try NIOSSLCertificate.fromPEMFile(certificate.path)
        var client = TLSConfiguration.makeClientConfiguration()
        client.trustRoots = .certificates(chain)
        let server = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key.path, format: .pem)))
        return (server, client)
    }
}
