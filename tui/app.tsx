import { Box, Text, useCursor } from "ink";
import { memo, useSyncExternalStore } from "react";
import type { Frame } from "./frame.ts";

/** What Ink draws next, and how it learns of it. */
export interface FrameSource {
  readonly subscribe: (listener: () => void) => () => void;
  /** The same object until something changed. */
  readonly current: () => Frame;
}

/** Ink is the shell: it compares rows and writes those that differ. What stands in them is decided in `frame.ts`. */
export function App({ source, columns }: { readonly source: FrameSource; readonly columns: number }) {
  const frame = useSyncExternalStore(source.subscribe, source.current);
  const { setCursorPosition } = useCursor();
  // The real cursor stands in the draft: input methods put their candidates there.
  setCursorPosition(frame.cursor ? { ...frame.cursor } : undefined);
  return (
    <Box flexDirection="column" width={columns} height={frame.rows.length}>
      {frame.rows.map((row, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- a row's place on the screen is its identity
        <Row key={index} text={row} />
      ))}
    </Box>
  );
}

/** An empty row needs a blank, or Ink gives it no height. */
const Row = memo(function Row({ text }: { readonly text: string }) {
  return <Text wrap="truncate">{text === "" ? " " : text}</Text>;
});
