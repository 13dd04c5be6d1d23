/** C sources are imported as text, so that they travel inside the executable. */
declare module "*.c" {
  const text: string;
  export default text;
}
