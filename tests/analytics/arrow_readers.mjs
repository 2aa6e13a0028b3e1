// Arrow files and streams through three real readers: apache-arrow, ClickHouse (chdb: the Arrow C++ library) and
// Polars (arrow-rs's kin). Every value of every row is compared with the record's bytes.
// usage: node arrow_readers.mjs DIR  (made by arrow_sample; node_modules beside this script or in NODE_PATH's parent)
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { decode, fields } from './record.mjs';

const directory = process.argv[2], require = createRequire((process.argv[3] ?? import.meta.dirname) + '/x.js');
const raw = fs.readFileSync(directory + '/records.bin'), rows = raw.length / 128;
const expected = [false, true].map((text) =>
  Array.from({ length: rows }, (_, i) => decode(raw.subarray(i * 128, i * 128 + 128), text)));
let checked = 0, failures = 0;

function compare(reader, file, row, name, got, want) {
  checked++;
  if (got === want || (got != null && want != null && String(got) === String(want))) return;
  if (got == null && want == null) return;
  if (failures++ < 10) console.error(`${reader} ${file} row ${row} ${name}: got ${got}, want ${want}`);
}

const hex = (value) => (value == null || typeof value === 'string' ? value : Buffer.from(value).toString('hex'));

function withApacheArrow(file, text) {
  const { tableFromIPC, RecordBatchReader } = require('apache-arrow');
  const bytes = fs.readFileSync(`${directory}/${file}`), table = tableFromIPC(bytes);
  const metadata = table.schema.metadata;

  if (table.numRows !== rows) throw new Error(`apache-arrow ${file}: ${table.numRows} rows, want ${rows}`);
  compare('apache-arrow', file, -1, 'columns', table.schema.fields.map((f) => f.name).join(), Object.keys(fields).join());
  compare('apache-arrow', file, -1, 'filter', metadata.get('weir.filter'), 'tcp or udp');
  compare('apache-arrow', file, -1, 'time type', String(table.schema.fields[0].type), 'Timestamp<NANOSECOND, UTC>');
  if (file.endsWith('.arrow'))
    compare('apache-arrow', file, -1, 'ledger', JSON.parse(metadata.get('weir.ledger')).seen, 42);
  else if (!bytes.includes('weir.ledger')) throw new Error(`${file}: no ledger at the end`);
  if (RecordBatchReader.from(bytes).isFile() !== file.endsWith('.arrow')) throw new Error(`${file}: wrong kind`);
  for (const name of Object.keys(fields)) {
    const column = table.getChild(name), binary = fields[name][1] === 'ip' || fields[name][1] === 'mac';
    let row = 0;

    for (const data of column.data) {
      for (let i = 0; i < data.length; i++, row++) {
        let got = null;

        // Timestamps as the raw 64 bits: get() would go through a double.
        if (data.getValid(i)) got = name === 'timestamp_ns' ? data.values[i] : column.get(row);
        compare('apache-arrow', file, row, name, binary ? hex(got) : got, expected[+text][row][name]);
      }
    }
  }
}

function withChdb(file, text) {
  const { query } = require('chdb'), format = file.endsWith('.arrow') ? 'Arrow' : 'ArrowStream';
  const columns = Object.entries(fields).map(([name, [, kind]]) =>
    kind === 'time' ? `toUnixTimestamp64Nano(${name}) AS ${name}_` : (kind === 'ip' || kind === 'mac') && !text
      ? `lower(hex(${name})) AS ${name}_` : `${name} AS ${name}_`);
  const lines = query(`SELECT ${columns.join()} FROM file('${directory}/${file}', ${format}) ORDER BY timestamp_ns
    SETTINGS output_format_json_quote_64bit_integers = 1`, 'JSONCompactEachRow').trim().split('\n');

  if (lines.length !== rows) throw new Error(`chdb ${file}: ${lines.length} rows`);
  lines.forEach((line, row) => JSON.parse(line).forEach((got, i) => {
    const name = Object.keys(fields)[i];

    compare('chdb', file, row, name, got, expected[+text][row][name]);
  }));
}

function withPolars(file, text) {
  const pl = require('nodejs-polars'), bytes = fs.readFileSync(`${directory}/${file}`);
  const frame = file.endsWith('.arrow') ? pl.readIPC(bytes) : pl.readIPCStream(bytes);

  if (frame.height !== rows) throw new Error(`polars ${file}: ${frame.height} rows`);
  for (const name of Object.keys(fields)) {
    const kind = fields[name][1];
    let column = frame.getColumn(name);

    if ((kind === 'ip' || kind === 'mac') && !text) continue; // its Node binding hands out no binary values
    if (kind === 'time') column = column.cast(pl.Int64).cast(pl.Utf8); // not through a double
    column.toArray().forEach((got, row) => compare('polars', file, row, name, got, expected[+text][row][name]));
  }
}

const readers = [['apache-arrow', withApacheArrow], ['chdb', withChdb], ['nodejs-polars', withPolars]];
for (const [name, reader] of readers) {
  const before = checked;

  for (const file of ['x.arrow', 'x.arrows', 'text.arrow', 'text.arrows']) reader(file, file.startsWith('text'));
  console.log(`${name}: ${checked - before} values of ${rows} rows in 4 files compared`);
}
if (failures) {
  console.error(`${failures} of ${checked} values differ`);
  process.exit(1);
}
