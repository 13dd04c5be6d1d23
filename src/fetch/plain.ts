/**
 * Text without what nobody sees: characters that take no room, that turn the direction of writing, that are no characters. They are the paper on which words are written
 * that a model reads and a person does not. A joiner inside a word is lost with them, and a few words of Persian and some emoji look a little plainer.
 */
export const plainText = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(/\r\n?|[\u2028\u2029\u0085]/gu, "\n")
    .replaceAll(/(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}]/gu, "");
