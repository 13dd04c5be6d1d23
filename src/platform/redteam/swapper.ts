/**
 * Somebody on the host who swaps two names, over and over, in one step each. Python does it fast enough to fall into every gap, and every cage that runs
 * scripts needs it anyway.
 */
const SWAP = `import ctypes,random,select,sys,time
a,b,least=sys.argv[1].encode(),sys.argv[2].encode(),int(sys.argv[3])
l=ctypes.CDLL(None,use_errno=True)
n=0
end=time.time()+600
while time.time()<end:
  if l.renameat2(-100,a,-100,b,2)==0: n+=1
  elif n==0 and ctypes.get_errno()==22: break
  if n%64<2 and n>=least and n%2==0 and select.select([0],[],[],0)[0]: break
  if n%7==0: time.sleep(random.random()*0.001)
print(n)`;

export interface Swapper {
  /** Lets it go on until it has swapped often enough, and leaves both names as they were. Answers how often it swapped. */
  stop(): Promise<number>;
}

export function swapNames(python: string, a: string, b: string, least: number): Swapper {
  const child = Bun.spawn([python, "-c", SWAP, a, b, String(least)], { stdio: ["pipe", "pipe", "ignore"], env: {} });
  return {
    async stop() {
      await child.stdin.end();
      const said = await child.stdout.text();
      await child.exited;
      return Number(said.trim());
    },
  };
}
