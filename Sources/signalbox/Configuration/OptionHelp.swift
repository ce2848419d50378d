// SignalBox: what the help of signalbox serve says of each option
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Meaning and default of an option, from the one text that tells them.
struct OptionHelp {
    let meaning: String
    /// nil where there is none.
    let standard: String?

    /// By option.
    static let ofServe: [String: OptionHelp] = {
        // So wide that no text is broken.
        let help = Serve.helpMessage(columns: 100_000)
        let lines = help.matches(of: /(?m)^  --([a-z-]+)(?: <[^>\n]*>)?\s+(\S.*?)(?: \[SIGNALBOX_[A-Z_]+\](.*))$/)
        return Dictionary(
            lines.map { (String($0.1), OptionHelp(String($0.2), after: $0.3)) }, uniquingKeysWith: { $1 })
    }()

    private init(_ meaning: String, after details: Substring) {
        // How to write several of them on a command line is no matter of files.
        self.meaning = meaning.replacing(/; repeat it for several \(commas in the variable\)/, with: "")
        self.standard = details.firstMatch(of: /default: (.*)\)/).map { String($0.1) }
    }
}
