export function gpuPack(_name: string, _version: string): { binsDir?: string; packageVersion?: string } {
  return {};
}
