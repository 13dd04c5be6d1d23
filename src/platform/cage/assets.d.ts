/** Filter programs are imported as files, so that they travel inside the executable. */
declare module "*.bpf" {
  const path: string;
  export default path;
}
