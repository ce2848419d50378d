// SignalBox: the compiler plugin behind @Hub, @HubMethod and @HubClient
// SPDX-License-Identifier: Apache-2.0

import SwiftCompilerPlugin
import SwiftSyntaxMacros

@main
struct SignalRMacrosPlugin: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [HubMacro.self, HubMethodMacro.self, HubClientMacro.self]
}
