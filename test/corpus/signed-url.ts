/** What the senders that sign a URL know the relay as. */
export const signedUrl = 'https://relay.example/hooks/vendor'
