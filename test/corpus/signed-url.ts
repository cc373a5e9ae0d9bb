/** The relay's URL as the senders that sign URLs know it. */
export const signedUrl = 'https://relay.example/hooks/vendor'
