// A ring from the radius 1 to 2, meshed with edges of 0.08.
SetFactory("OpenCASCADE");
Disk(1) = {0,0,0,2}; Disk(2) = {0,0,0,1};
BooleanDifference(3) = { Surface{1}; Delete; }{ Surface{2}; Delete; };
b() = Boundary{ Surface{3}; };
Physical Surface("dom",1) = {3};
Physical Curve("outer",2) = {b(0)};
Physical Curve("inner",3) = {b(1)};
Mesh.CharacteristicLengthMin=0.08; Mesh.CharacteristicLengthMax=0.08;
