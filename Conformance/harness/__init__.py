# SignalBox: what the conformance tests share: a server process and clients that can misbehave.
# SPDX-License-Identifier: Apache-2.0
