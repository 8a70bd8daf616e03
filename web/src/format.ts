import { timestampDate, type Timestamp } from "@bufbuild/protobuf/wkt";

/** Bytes in binary units, such as 1.5 MiB. */
export function size(bytes: bigint): string {
  let value = Number(bytes);
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A time as the reader's place writes it. */
export function moment(time?: Timestamp): string {
  return time ? timestampDate(time).toLocaleString() : "";
}

/** The last part of a key, after the last slash but one of a folder. */
export function leaf(key: string, prefix: string): string {
  return key.startsWith(prefix) ? key.slice(prefix.length) : key;
}
