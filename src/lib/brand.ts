declare const brand: unique symbol;

/** A nominal type over a structural one, so that a session id is not accepted where a message id is meant. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Milliseconds since the Unix epoch. */
export type Millis = Brand<number, "Millis">;
/** Sixteen random bytes as 32 lower-case hex digits. */
export type SessionId = Brand<string, "SessionId">;
/** Sixteen random bytes as 32 lower-case hex digits. */
export type MessageId = Brand<string, "MessageId">;
/** SHA-256 as 64 lower-case hex digits. */
export type Sha256Hex = Brand<string, "Sha256Hex">;
