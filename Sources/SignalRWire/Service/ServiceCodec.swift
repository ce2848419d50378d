// SignalBox: service protocol messages on the wire
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The encoding of ``ServiceMessage``: a length, then one MessagePack array with the type in front
/// (service reference, "Server connection: transport and encoding").
public enum ServiceCodec {
    /// The most bytes that a message may have; the SDKs are asked to stay below 16 MB.
    public static let maximumSize = 32 << 20

    /// Takes one whole message off the front of `buffer`.
    ///
    /// - Parameter maximumSize: The most bytes it may have with its length.
    /// - Returns: nil when more bytes are needed; then `buffer` is untouched.
    /// - Throws: `HubProtocolError` when the bytes are no message or too many for one. The connection has to end.
    public static func read(
        from buffer: inout ByteBuffer, maximumSize: Int = maximumSize
    ) throws(HubProtocolError) -> ServiceMessage? {
        guard let frame = try LengthPrefix.readFrame(from: &buffer, maximumSize: maximumSize) else { return nil }
        return try self.message(in: frame)
    }

    /// Reads the message that `frame` consists of, which has no length in front.
    static func message(in frame: ByteBuffer) throws(HubProtocolError) -> ServiceMessage {
        try frame.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            var reader = ServiceMessageReader(frame: frame, bytes: bytes)
            return try reader.message()
        }
    }

    /// Appends the framed message, byte for byte as the SDKs do.
    ///
    /// - Throws: `HubProtocolError` for 2 GiB and more, and for ``ServiceMessage/unknown(type:)``; then `buffer` is as before.
    public static func write(_ message: ServiceMessage, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            try LengthPrefix.writeFrame(into: &buffer) { buffer throws(HubProtocolError) in
                var writer = ServiceMessageWriter(buffer: buffer)
                // Written in place: two references would mean a copy.
                buffer = ByteBuffer()
                defer { buffer = writer.buffer }
                try writer.write(message)
            }
        }
    }
}

/// The numbers of messages (service reference, "Messages").
enum ServiceMessageType: Int64 {
    case handshakeRequest = 1
    case handshakeResponse = 2
    case ping = 3
    case openConnection = 4
    case closeConnection = 5
    case connectionData = 6
    case multiConnectionData = 7
    case userData = 8
    case multiUserData = 9
    case broadcastData = 10
    case joinGroup = 11
    case leaveGroup = 12
    case groupBroadcastData = 13
    case multiGroupBroadcastData = 14
    case serviceError = 15
    case userJoinGroup = 16
    case userLeaveGroup = 17
    case joinGroupWithAck = 18
    case leaveGroupWithAck = 19
    case ack = 20
    case checkUserInGroupWithAck = 21
    case serviceEvent = 22
    case checkGroupExistenceWithAck = 23
    case checkConnectionExistenceWithAck = 24
    case checkUserExistenceWithAck = 25
    case userJoinGroupWithAck = 26
    case userLeaveGroupWithAck = 27
    case accessKeyRequest = 28
    case accessKeyResponse = 29
    case closeConnectionWithAck = 30
    case closeConnectionsWithAck = 31
    case closeUserConnectionsWithAck = 32
    case closeGroupConnectionsWithAck = 33
    case clientInvocation = 34
    case clientCompletion = 35
    case errorCompletion = 36
    case serviceMapping = 37
    case connectionReconnect = 38
    case connectionFlowControl = 39
    case groupMemberQuery = 40
}
