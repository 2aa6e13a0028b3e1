// Runs a recipe. usage: node run_js.mjs NODE_MODULES_PARENT polars|duckdb FILE   Prints values separated by spaces.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.argv[2] + '/x.js'), text = fs.readFileSync(process.argv[4], 'utf8');
const print = (...values) => console.log(values.join(' '));

if (process.argv[3] === 'polars') {
  new Function('pl', 'fs', 'print', text)(require('nodejs-polars'), fs, print);
} else {
  const { DuckDBInstance } = require('@duckdb/node-api');
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const statements = text.split(/;\s*\n/).filter((s) => s.trim());

  for (const statement of statements) {
    const result = await connection.runAndReadAll(statement);
    if (statement === statements.at(-1)) for (const row of result.getRows()) print(...row);
  }
}
