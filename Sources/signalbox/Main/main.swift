// SignalBox: where the program starts
// SPDX-License-Identifier: Apache-2.0

import SignalBoxCommands

await SignalBox.main()
