# SignalBox: an app server as Microsoft.Azure.SignalR would run it, written from the wire reference alone.
# SPDX-License-Identifier: Apache-2.0
