// SignalBox: tokens and REST requests that nobody would send on purpose
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@Suite struct ServiceRobustnessTests {
    private static func regressions(of property: ServiceProperty) throws -> [URL] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Fuzz/Regressions/\(property.rawValue)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    }

    /// What fuzzing has found once, and what it might find. Each file's folder names its property.
    @Test(arguments: ServiceProperty.allCases)
    func regressionsStayFixed(_ property: ServiceProperty) throws {
        let files = try Self.regressions(of: property)
        #expect(!files.isEmpty)
        for file in files {
            #expect(throws: Never.self, "\(file.lastPathComponent)") {
                try property.check(Array(Data(contentsOf: file)))
            }
        }
    }

    /// The same with every byte left out, doubled and turned round, and cut short anywhere.
    @Test(arguments: ServiceProperty.allCases)
    func changedOnesHold(_ property: ServiceProperty) throws {
        for file in try Self.regressions(of: property) {
            let bytes = Array(try Data(contentsOf: file))
            for index in bytes.indices.prefix(200) {
                var (less, more, other) = (bytes, bytes, bytes)
                less.remove(at: index)
                more.insert(bytes[index], at: index)
                other[index] ^= 0x80
                for changed in [less, more, other, Array(bytes[..<index])] {
                    #expect(throws: Never.self, "\(file.lastPathComponent), byte \(index)") {
                        try property.check(changed)
                    }
                }
            }
        }
    }

    @Test(arguments: Vectors.all.jwt)
    func tokensOfTheVectorsHold(_ vector: Vectors.Token) throws {
        try ServiceProperty.token.check(Array(vector.token.utf8))
    }
}
