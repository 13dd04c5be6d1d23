/** Facts about the computer that the stick is plugged into, as far as they bear on which model runs. Bytes. */
export interface HostFacts {
  /** Cores this process may use: affinity and control group count. */
  readonly cores: number;
  readonly totalMemory: number;
  /** What can be had without swapping, within the control group's limit. */
  readonly availableMemory: number;
  readonly gpu: HostGpu | null;
  /** Names this computer from run to run, without saying which it is: 16 hex digits. */
  readonly fingerprint: string;
}

export interface HostGpu {
  readonly name: string;
  /** Bytes; null where only the driver knows. */
  readonly memory: number | null;
  /** A GPU build of the engine lies on the stick. Without one the GPU cannot be used. */
  readonly usable: boolean;
}
